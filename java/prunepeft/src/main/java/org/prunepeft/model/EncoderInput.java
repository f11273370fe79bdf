package org.prunepeft.model;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.ComputeDevice;

/**
 * A batch as tensors. Made within a PointerScope, which frees it.
 *
 * @param ids token ids [B,T], int64
 * @param types token types [B,T], int64
 * @param mask 1 for a real token, 0 for padding, [B,T], float32
 * @param rowMask the same as uint8, for kernels
 * @param tokens how many real tokens there are
 * @param largestId to be checked against the vocabulary without a copy from the device
 * @param starts for decoders: the index within the row at which the token's own sample begins,
 *     [B·T], int32; its positions count from there, and it sees nothing before. Null: each row is
 *     one sample
 * @param longest tokens of the longest sample; where rows are samples, T
 */
@RecordBuilder
public record EncoderInput(
    Tensor ids,
    Tensor types,
    Tensor mask,
    Tensor rowMask,
    long tokens,
    long largestId,
    Tensor starts,
    int longest)
    implements EncoderInputBuilder.With {

  /**
   * @param device where the tensors are to lie
   * @param ids B·T token ids, row by row
   * @param types B·T token types
   * @param mask B·T values, 1 for a real token, 0 for padding
   * @param rows B, texts in the batch, 1 or more
   * @param length T, tokens of the longest, 1 or more
   * @return the batch, owned by the scope that is open
   */
  public static EncoderInput of(
      ComputeDevice device, long[] ids, long[] types, byte[] mask, int rows, int length) {
    if (ids.length != rows * length || types.length != ids.length || mask.length != ids.length) {
      throw new IllegalArgumentException(
          String.format(
              "a batch of %d x %d needs as many ids, types and mask values, got %d, %d, %d",
              rows, length, ids.length, types.length, mask.length));
    }
    float[] real = new float[mask.length];
    int tokens = 0;
    long largestId = 0;
    for (int i = 0; i < mask.length; i++) {
      real[i] = mask[i];
      tokens += mask[i];
      largestId = Math.max(largestId, ids[i]);
    }
    return new EncoderInput(
        device.longs(ids, rows, length),
        device.longs(types, rows, length),
        device.floats(real, rows, length),
        device.bytes(mask, rows, length),
        tokens,
        largestId,
        null,
        length);
  }

  /**
   * On the CPU; see the other method.
   *
   * @param ids [B·T] token ids
   * @param types [B·T] token types, 0 or 1
   * @param mask [B·T] 1 for a token, 0 for padding
   * @param rows B, texts in the batch, 1 or more
   * @param length T, tokens of the longest, 1 or more
   * @return the batch, owned by the scope that is open
   */
  public static EncoderInput of(long[] ids, long[] types, byte[] mask, int rows, int length) {
    return of(ComputeDevice.CPU, ids, types, mask, rows, length);
  }

  /**
   * {@return the same batch of several samples a row, or of rows that are padded on the left: each
   * is a sample that begins behind its padding}
   *
   * @param starts B·T indices within the row at which the token's own sample begins
   * @param longest tokens of the longest sample
   */
  public EncoderInput startingAt(int[] starts, int longest) {
    if (starts.length != ids.numel()) {
      throw new IllegalArgumentException(
          "a batch of %d x %d needs as many starts, got %d"
              .formatted(rows(), length(), starts.length));
    }
    return with().starts(device().ints(starts, starts.length)).longest(longest).build();
  }

  /** {@return where the tensors lie} */
  public ComputeDevice device() {
    return ComputeDevice.of(ids);
  }

  /** {@return whether there is any padding} */
  public boolean padded() {
    return tokens < ids.numel();
  }

  /** {@return B} */
  public int rows() {
    return (int) ids.size(0);
  }

  /** {@return T} */
  public int length() {
    return (int) ids.size(1);
  }

  /**
   * What attention adds to its scores: 0 for real tokens, -inf for padding, [B,1,1,T]; null if
   * nothing is padded.
   */
  Tensor attentionBias() {
    if (!padded()) {
      return null;
    }
    return torch.log(mask).unsqueeze(1).unsqueeze(1);
  }
}
