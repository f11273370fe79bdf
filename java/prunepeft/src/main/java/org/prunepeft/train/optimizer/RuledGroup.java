package org.prunepeft.train.optimizer;

/**
 * @param rule of the group's weights
 */
record RuledGroup<R extends UpdateRule>(ParameterGroup group, R rule) {}
