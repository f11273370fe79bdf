package org.prunepeft.cli;

import org.prunepeft.model.Models;
import picocli.CommandLine.Command;

@Command(
    name = "models",
    mixinStandardHelpOptions = true,
    description = "Lists the models that are known by name.")
final class ModelsCommand implements Runnable {
  @Override
  public void run() {
    for (Models.Entry entry : Models.all()) {
      System.out.printf(
          "%s%n  %s%n  from %s; licence %s%n",
          entry.name(), entry.description(), entry.source(), entry.licence());
    }
  }
}
