package org.prunepeft.train.optimizer;

import org.prunepeft.torch.FlatParameters;

/**
 * Weights that are trained at one learning rate.
 *
 * @param name lora, adapter, encoder, head
 * @param parameters weights and gradients
 * @param learningRate the schedule's peak
 */
public record ParameterGroup(String name, FlatParameters parameters, double learningRate) {}
