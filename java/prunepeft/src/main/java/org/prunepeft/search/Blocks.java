package org.prunepeft.search;

import java.util.List;

/**
 * The layers of a model, cut into consecutive blocks.
 *
 * @param ends for each block the number of layers up to its end; the last is the number of layers
 */
public record Blocks(List<Integer> ends) {
  /**
   * @throws IllegalArgumentException if there is no block or an empty one
   */
  public Blocks {
    ends = List.copyOf(ends);
    if (ends.isEmpty()) {
      throw new IllegalArgumentException("layers must be cut into at least one block, got none");
    }
    int start = 0;
    for (int end : ends) {
      if (end <= start) {
        throw new IllegalArgumentException("the ends of blocks must increase from 1, got " + ends);
      }
      start = end;
    }
  }

  /** {@return how many blocks there are} */
  public int count() {
    return ends.size();
  }

  /** {@return how many layers there are} */
  public int layers() {
    return ends.get(ends.size() - 1);
  }

  /** {@return how many layers each block has} */
  public List<Integer> sizes() {
    Integer[] sizes = new Integer[ends.size()];
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = ends.get(i) - (i == 0 ? 0 : ends.get(i - 1));
    }
    return List.of(sizes);
  }

  /**
   * {@return the block of a layer, from 1}
   *
   * @param layer from 0
   * @throws IllegalArgumentException if there is no such layer
   */
  public int blockOf(int layer) {
    if (layer < 0 || layer >= layers()) {
      throw new IllegalArgumentException(
          "layer must be from 0 to " + (layers() - 1) + ", got " + layer);
    }
    int block = 1;
    while (ends.get(block - 1) <= layer) {
      block++;
    }
    return block;
  }
}
