package org.prunepeft.settings;

/** What a run does with its {@link Setup}: it searches modules, or trains a choice of them. */
public sealed interface RunSettings permits ModuleChoice, SearchSettings {}
