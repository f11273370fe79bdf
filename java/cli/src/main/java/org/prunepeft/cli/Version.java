package org.prunepeft.cli;

import org.prunepeft.kernels.Kernels;
import picocli.CommandLine.IVersionProvider;

/** Versions of the project and of what computes. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {
      "prunepeft " + Kernels.version() + " (kernels: " + Kernels.isa().name().toLowerCase() + ")"
    };
  }
}
