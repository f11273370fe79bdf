package org.prunepeft.kernels;

import java.util.List;
import org.prunepeft.kernels.binding.LoraBranchStruct;

/**
 * One LoRA module on an input that it may share with others.
 *
 * @param a A [r,K]; null where a call does not read it
 * @param scale alpha / r
 * @param module names the branch's dropout mask; distinct for each projection
 * @param s S [M,r] in the forward pass, dS [M,r] in the backward pass
 * @param da dA [r,K], float32; null where a call does not write it
 */
public record LoraBranch(Matrix a, float scale, int module, Matrix s, Matrix da) {

  /** The native array of branches; the caller closes it. */
  static LoraBranchStruct structs(List<LoraBranch> branches) {
    LoraBranchStruct array = new LoraBranchStruct(branches.size());
    for (int i = 0; i < branches.size(); i++) {
      LoraBranch branch = branches.get(i);
      LoraBranchStruct struct = array.getPointer(i);
      struct.rank(branch.s.cols()).scale(branch.scale).module(branch.module);
      struct.s(branch.s.data()).lds(branch.s.ld());
      struct.a(branch.a == null ? null : branch.a.data()).lda(branch.a == null ? 0 : branch.a.ld());
      struct
          .da(branch.da == null ? null : new org.bytedeco.javacpp.FloatPointer(branch.da.data()))
          .ldda(branch.da == null ? 0 : branch.da.ld());
    }
    return array;
  }

  static long ranks(List<LoraBranch> branches) {
    return branches.stream().mapToLong(b -> b.s.cols()).sum();
  }
}
