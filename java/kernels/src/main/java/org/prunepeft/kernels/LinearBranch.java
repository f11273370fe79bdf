package org.prunepeft.kernels;

import java.util.List;
import org.prunepeft.kernels.binding.LinearBranchStruct;

/**
 * A LoRA module on some columns of a {@link Linear}'s output.
 *
 * @param a A [r,K]
 * @param b B [n,r], which adds to n columns; null where it is not needed ({@link Linear#gradInput})
 * @param scale s = alpha / r, or alpha / sqrt(r) for rsLoRA
 * @param module names its dropout mask
 * @param firstColumn where its n columns of y begin
 * @param s S or dS [M,r]
 */
public record LinearBranch(
    Matrix a, Matrix b, float scale, int module, long firstColumn, Matrix s) {

  static LinearBranchStruct structs(List<LinearBranch> branches) {
    if (branches.isEmpty()) {
      return null;
    }
    LinearBranchStruct table = new LinearBranchStruct(branches.size());
    for (int i = 0; i < branches.size(); i++) {
      LinearBranch branch = branches.get(i);
      LinearBranchStruct row = table.getPointer(i);
      row.a(branch.a.data()).lda(branch.a.ld()).rank(branch.a.rows());
      row.scale(branch.scale).module(branch.module).first_column(branch.firstColumn);
      row.s(branch.s.data()).lds(branch.s.ld());
      if (branch.b == null) {
        row.b(null).ldb(0).columns(0);
      } else {
        row.b(branch.b.data()).ldb(branch.b.ld()).columns(branch.b.rows());
      }
    }
    return table;
  }
}
