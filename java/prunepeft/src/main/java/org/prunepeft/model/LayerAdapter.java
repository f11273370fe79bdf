package org.prunepeft.model;

import org.prunepeft.kernels.EncoderLayer.AdapterInput;
import org.prunepeft.torch.AdapterOp;

/**
 * A bottleneck adapter behind a block of a layer, h + σ(v Dᵀ + d) Uᵀ + u.
 *
 * @param block whose output is h
 * @param input which v it takes in
 * @param weights D, d, U and u
 */
public record LayerAdapter(Block block, AdapterInput input, AdapterOp.Parameters weights) {}
