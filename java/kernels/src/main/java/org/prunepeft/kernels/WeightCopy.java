package org.prunepeft.kernels;

import java.util.List;
import org.prunepeft.kernels.binding.WeightCopyStruct;

/**
 * Part of a flat buffer of weights, and the matrix it is copied to after each step.
 *
 * @param offset the part's first element in the buffer, where its rows lie one behind the other
 * @param to as many elements, of the plan's type: A or B in a bordered operand, say
 */
public record WeightCopy(long offset, Matrix to) {

  /** The native array of copies; the caller closes it. */
  static WeightCopyStruct structs(List<WeightCopy> copies) {
    WeightCopyStruct array = new WeightCopyStruct(copies.size());
    for (int i = 0; i < copies.size(); i++) {
      WeightCopy copy = copies.get(i);
      WeightCopyStruct struct = array.getPointer(i);
      struct.offset(copy.offset).rows(copy.to.rows()).columns(copy.to.cols());
      struct.to(copy.to.data()).ld(copy.to.ld());
    }
    return array;
  }
}
