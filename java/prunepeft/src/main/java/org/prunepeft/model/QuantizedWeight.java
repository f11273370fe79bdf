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
   * Quantises a tensor of a checkpoint; its floats are in memory meanwhile.
   *
   * @param name of a tensor of two sizes
   * @return to be closed
   * @throws org.prunepeft.io.FormatException if a value is not finite
   */
  static QuantizedWeight of(Checkpoint checkpoint, String name, Form form) throws IOException {
    long[] shape = checkpoint.shape(name);
    boolean bytes = form == Form.INT8;
    long count = shape[0] * shape[1];
    long blocks = bytes ? shape[0] : (count + BLOCK - 1) / BLOCK;
    Tensor codes = empty(torch.ScalarType.Byte, form.bytes(count));
    QuantizedWeight weight =
        new QuantizedWeight(form, shape, codes, new float[Math.toIntExact(blocks)]);
    try (Tensor floats = empty(torch.ScalarType.Float, shape);
        Tensor scales = empty(torch.ScalarType.Float, blocks);
        Context context = new Context(Device.cpu())) {
      TensorReader.fill(floats, checkpoint, name);
      matrix(weight, shape[0], codes, scales).quantize(context, Torch.matrix(floats));
      System.arraycopy(Torch.toFloats(scales), 0, weight.scales, 0, weight.scales.length);
    } catch (Throwable e) {
      weight.close();
      throw e;
    }
    if (form == Form.NF4) {
      NestedScales.round(weight.scales);
    }
    return weight;
  }

  private static Tensor empty(torch.ScalarType type, long... shape) {
    return torch.empty(shape, new TensorOptions(type), null);
  }

  /**
   * Codes and scales as the kernels take them.
   *
   * @param like says what they are
   * @param rows of all
   * @param codes uint8, and float32 scales, where the kernels read them
   */
  static QuantizedMatrix matrix(QuantizedTensor like, long rows, Tensor codes, Tensor scales) {
    boolean bytes = like.form() == Form.INT8;
    return new QuantizedMatrix(
        rows,
        like.shape()[1],
        codes.data_ptr(),
        scales.data_ptr(),
        bytes ? 0 : like.block(),
        bytes ? null : like.meanings());
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
    return form == Form.INT8 ? Math.toIntExact(shape[1]) : BLOCK;
  }

  @Override
  public float[] meanings() {
    return form == Form.INT8 ? new float[0] : NORMAL.clone();
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
