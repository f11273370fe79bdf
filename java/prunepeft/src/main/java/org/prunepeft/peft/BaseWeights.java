package org.prunepeft.peft;

import org.prunepeft.io.SafeTensors.Tensor;

/** The frozen weights of the projections that modules sit on. */
@FunctionalInterface
public interface BaseWeights {
  /**
   * {@return W [N,K] of a projection}
   *
   * @param path its name in the encoder: encoder.layer.0.attention.self.query
   */
  Tensor weight(String path);
}
