package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.prunepeft.Seal;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "seal",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Takes the files of a run or an export as they are, where they were changed on purpose: writes their checksums anew, and lists those that differed. A base model that was changed is taken with --model only.",
      "",
      "Other commands refuse a run whose files, or whose base model's, are not those that it was made with."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft seal runs/earlier                    after an edit, or where there are no checksums",
      "  prunepeft seal runs/earlier --model new-place  with this base model from now on",
      "  prunepeft seal runs/seeds                      what is above the runs of several seeds or budgets"
    })
final class SealCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "DIR",
      description =
          "Directory of a complete run, or of an export; or that above several seeds or budgets, without their runs.")
  private Path directory;

  @Option(
      names = "--model",
      description =
          "The base model from now on, as it is: a name or a Hugging Face directory (default: where the run found it, unchanged).")
  private String model;

  @Override
  public Integer call() {
    Seal.renew(directory, model).forEach(System.out::println);
    System.out.println("sealed " + directory);
    return 0;
  }
}
