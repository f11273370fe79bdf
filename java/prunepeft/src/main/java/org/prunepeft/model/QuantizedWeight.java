package org.prunepeft.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.QuantizedTensor;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.QuantizedMatrix;
import org.prunepeft.torch.Torch;

/** A weight that was quantised here; its codes are in memory. */
final class QuantizedWeight implements QuantizedTensor, AutoCloseable {
  /** Values of NF4 that share a scale. */
  private static final int BLOCK = 64;

  /** Values whose floats are in memory at once; more if these are not whole rows. */
  private static final long FLOATS = 1 << 21;

  private static final float[] NORMAL = QuantizedMatrix.normalFloat();

  private final Form form;
  private final long[] shape;
  private final Tensor codes;
  private final float[] scales;

  private QuantizedWeight(Form form, long[] shape, Tensor codes, float[] scales) {
    this.form = form;
    this.shape = shape;
    this.codes = codes;
    this.scales = scales;
  }

  /**
   * Quantises a tensor of a checkpoint.
   *
   * @param name of a tensor of two sizes
   * @return to be closed
   * @throws org.prunepeft.io.FormatException if a value is not finite
   */
  static QuantizedWeight of(Checkpoint checkpoint, String name, Form form) throws IOException {
    long[] shape = checkpoint.shape(name);
    long count = shape[0] * shape[1];
    Tensor codes = empty(torch.ScalarType.Byte, form.bytes(count));
    try (LoadingBuffers buffers = new LoadingBuffers();
        Tensor scales = empty(torch.ScalarType.Float, blocks(form, shape))) {
      quantize(checkpoint, name, form, codes, scales, buffers);
      return new QuantizedWeight(form, shape, codes, Torch.toFloats(scales));
    } catch (Throwable e) {
      codes.close();
      throw e;
    }
  }

  /** How many scales a matrix gets. */
  static long blocks(Form form, long[] shape) {
    return form == Form.INT8 ? shape[0] : (shape[0] * shape[1] + BLOCK - 1) / BLOCK;
  }

  /** Values that share a scale. */
  static int block(Form form, long[] shape) {
    return form == Form.INT8 ? Math.toIntExact(shape[1]) : BLOCK;
  }

  /** What codes mean; none of int8. */
  static float[] meanings(Form form) {
    return form == Form.INT8 ? new float[0] : NORMAL.clone();
  }

  /**
   * Quantises a tensor of a checkpoint, some rows after the others: the floats of these alone are
   * in memory.
   *
   * @param codes uint8, written
   * @param scales float32, [{@link #blocks}], written
   * @throws org.prunepeft.io.FormatException if a value is not finite
   */
  static void quantize(
      Checkpoint checkpoint,
      String name,
      Form form,
      Tensor codes,
      Tensor scales,
      LoadingBuffers buffers)
      throws IOException {
    long[] shape = checkpoint.shape(name);
    long most = Math.min(shape[0], rowsAtOnce(form, shape[1]));
    int block = form == Form.INT8 ? 0 : BLOCK;
    try (Context context = new Context(Device.cpu())) {
      for (long row = 0; row < shape[0]; row += most) {
        long rows = Math.min(most, shape[0] - row);
        long first = row * shape[1];
        long count = rows * shape[1];
        long[] part = {rows, shape[1]};
        try (Tensor flat = buffers.floats(count);
            Tensor floats = flat.view(part);
            Tensor ownCodes = codes.narrow(0, form.bytes(first), form.bytes(count));
            Tensor ownScales = scales.narrow(0, first / block(form, shape), blocks(form, part))) {
          TensorReader.fill(floats, checkpoint, name, first);
          new QuantizedMatrix(
                  rows, shape[1], ownCodes.data_ptr(), ownScales.data_ptr(), block, null)
              .quantize(context, Torch.matrix(floats));
        }
      }
    }
    if (form == Form.NF4) {
      float[] rounded = Torch.toFloats(scales);
      NestedScales.round(rounded);
      try (Tensor given = Torch.floats(rounded, rounded.length)) {
        scales.copy_(given);
      }
    }
  }

  /** So many that the next ones begin with a scale. */
  private static long rowsAtOnce(Form form, long columns) {
    long step = form == Form.INT8 ? 1 : BLOCK / Long.lowestOneBit(columns | BLOCK);
    return Math.max(1, FLOATS / columns / step) * step;
  }

  private static Tensor empty(torch.ScalarType type, long... shape) {
    return torch.empty(shape, new TensorOptions(type), null);
  }

  @Override
  public Form form() {
    return form;
  }

  @Override
  public long[] shape() {
    return shape.clone();
  }

  @Override
  public int block() {
    return block(form, shape);
  }

  @Override
  public float[] meanings() {
    return meanings(form);
  }

  @Override
  public void readCodes(long first, ByteBuffer target) {
    try (BytePointer all = new BytePointer(codes.data_ptr()).position(first)) {
      target.put(all.limit(first + target.remaining()).asByteBuffer());
    }
  }

  @Override
  public float[] scales(long first, int count) {
    return Arrays.copyOfRange(scales, (int) first, (int) first + count);
  }

  @Override
  public void close() {
    codes.close();
  }
}
