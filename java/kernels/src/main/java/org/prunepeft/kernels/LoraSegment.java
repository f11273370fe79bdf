package org.prunepeft.kernels;

import java.util.List;
import org.prunepeft.kernels.binding.DropoutStruct;
import org.prunepeft.kernels.binding.LoraSegmentStruct;

/**
 * Rows of a batch that go through one adapter.
 *
 * @param firstRow the first of them, not before the end of the segment before
 * @param rows how many, 0 or more
 * @param adapter index into the call's adapters
 * @param dropout null: none. Its rows are counted from the segment's first; segments of one adapter
 *     in one step need different ones (another micro-batch, say), or their masks agree
 */
public record LoraSegment(long firstRow, long rows, int adapter, Dropout dropout) {

  /** The native array of segments; the caller closes it, after the call that reads it. */
  static LoraSegmentStruct structs(List<LoraSegment> segments) {
    LoraSegmentStruct array = new LoraSegmentStruct(segments.size());
    for (int i = 0; i < segments.size(); i++) {
      LoraSegment segment = segments.get(i);
      DropoutStruct dropout = Dropout.struct(segment.dropout);
      array
          .getPointer(i)
          .first_row(segment.firstRow)
          .rows(segment.rows)
          .adapter(segment.adapter)
          .dropout(dropout);
    }
    return array;
  }
}
