package org.prunepeft.io;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * A linear's weight as codes of a few bits and scales: each block of values, counted row by row,
 * has a scale, and a value is what its code means, times that. Several threads may read at once.
 */
public interface QuantizedTensor {
  /** What a code is. */
  enum Form {
    /** A signed byte, which means itself; a block is a row. */
    INT8,
    /** Half a byte, the number of one of 16 meanings; the first of two in the upper half. */
    NF4;

    /** {@return bytes of so many codes} */
    public long bytes(long codes) {
      return this == INT8 ? codes : (codes + 1) / 2;
    }
  }

  /** {@return what its codes are} */
  Form form();

  /** {@return [out,in]} */
  long[] shape();

  /** {@return values that share a scale, of which the last block may have fewer} */
  int block();

  /** {@return what the codes of NF4 mean, [16]; none of int8} */
  float[] meanings();

  /**
   * Reads codes.
   *
   * @param first byte of the codes, counted from the tensor's start
   * @param target is filled
   * @throws IOException if reading fails
   */
  void readCodes(long first, ByteBuffer target) throws IOException;

  /**
   * {@return the scales of some blocks}
   *
   * @param first block
   * @param count of blocks
   * @throws IOException if reading fails
   */
  float[] scales(long first, int count) throws IOException;

  /**
   * {@return values}
   *
   * @param first number of the first value, counted from the tensor's start
   * @param count of values, 1 or more
   * @throws IOException if reading fails
   */
  default float[] values(long first, int count) throws IOException {
    boolean bytes = form() == Form.INT8;
    int block = block();
    float[] meanings = meanings();
    long firstByte = bytes ? first : first / 2;
    byte[] codes = new byte[(int) (form().bytes(first + count) - firstByte)];
    readCodes(firstByte, ByteBuffer.wrap(codes));
    long firstBlock = first / block;
    float[] scales = scales(firstBlock, (int) ((first + count - 1) / block - firstBlock + 1));
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      long index = first + i;
      float scale = scales[(int) (index / block - firstBlock)];
      if (bytes) {
        values[i] = codes[i] * scale;
      } else {
        int pair = codes[(int) (index / 2 - firstByte)];
        values[i] = meanings[index % 2 == 0 ? pair >> 4 & 0xf : pair & 0xf] * scale;
      }
    }
    return values;
  }
}
