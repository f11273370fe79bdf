package org.prunepeft.model;

/**
 * What DeBERTa's attention knows of positions (He et al. 2021), in Hugging Face's names.
 *
 * @param buckets position_buckets; 0: every distance has a bucket of its own
 * @param maxDistance max_relative_positions: distances from there on are one
 * @param contentToPosition whether pos_att_type has c2p
 * @param positionToContent whether pos_att_type has p2c
 * @param sharedProjections share_att_key: positions go through the projections of the content
 * @param normalised whether norm_rel_ebd has layer_norm
 */
public record RelativeAttention(
    int buckets,
    int maxDistance,
    boolean contentToPosition,
    boolean positionToContent,
    boolean sharedProjections,
    boolean normalised) {
  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public RelativeAttention {
    if (maxDistance < 2) {
      throw new IllegalArgumentException(
          "max_relative_positions must be at least 2, got " + maxDistance);
    }
    if (buckets != 0 && (buckets < 4 || buckets / 2 >= maxDistance - 1)) {
      throw new IllegalArgumentException(
          "position_buckets must be 0 or at least 4 and less than twice max_relative_positions - 1, %d, got %d"
              .formatted(maxDistance - 1, buckets));
    }
  }

  /** {@return half the rows of the table of relative positions} */
  public int span() {
    return buckets > 0 ? buckets : maxDistance;
  }

  /**
   * {@return the bucket of a distance: itself up to half the buckets, m; from there on, sign · (m +
   * ⌈(m − 1) ln(|distance| / m) / ln((max − 1) / m)⌉)}
   *
   * @param distance of a query from a key, in tokens
   */
  public int bucket(int distance) {
    int half = buckets / 2;
    int size = Math.abs(distance);
    if (buckets == 0 || size <= half) {
      return distance;
    }
    double share = Math.log((double) size / half) / Math.log((maxDistance - 1.0) / half);
    int bucket = half + (int) Math.ceil(share * (half - 1));
    return distance < 0 ? -bucket : bucket;
  }
}
