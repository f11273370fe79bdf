package org.prunepeft.kernels;

import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.prunepeft.kernels.binding.LoraAdapterStruct;

/**
 * The LoRA module of one adapter, for calls that serve several: {@link MultiLoraKernels}.
 *
 * @param rank r, 1 or more
 * @param a A [r,K]; null where a call does not read it
 * @param b B [N,r]; null where a call does not read it
 * @param scale alpha / r
 * @param module names the adapter's dropout masks
 * @param da dA [r,K], float32; null where a call does not write it
 * @param db dB [N,r], float32; null where a call does not write it
 */
public record LoraAdapter(
    long rank, Matrix a, Matrix b, float scale, int module, Matrix da, Matrix db) {

  /** The native array of adapters; the caller closes it. */
  static LoraAdapterStruct structs(List<LoraAdapter> adapters) {
    LoraAdapterStruct array = new LoraAdapterStruct(adapters.size());
    for (int i = 0; i < adapters.size(); i++) {
      LoraAdapter adapter = adapters.get(i);
      LoraAdapterStruct struct = array.getPointer(i);
      struct.rank(adapter.rank).scale(adapter.scale).module(adapter.module);
      struct.a(adapter.a == null ? null : adapter.a.data()).lda(ld(adapter.a));
      struct.b(adapter.b == null ? null : adapter.b.data()).ldb(ld(adapter.b));
      struct.da(floats(adapter.da)).ldda(ld(adapter.da));
      struct.db(floats(adapter.db)).lddb(ld(adapter.db));
    }
    return array;
  }

  private static long ld(Matrix matrix) {
    return matrix == null ? 0 : matrix.ld();
  }

  private static FloatPointer floats(Matrix matrix) {
    return matrix == null ? null : new FloatPointer(matrix.data());
  }
}
