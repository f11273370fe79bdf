package org.prunepeft.examples;

import java.nio.file.Path;
import org.prunepeft.ProgressListener;
import org.prunepeft.PrunePeft;
import org.prunepeft.SearchOutcome;
import org.prunepeft.SearchSettings;
import org.prunepeft.Setup;
import org.prunepeft.data.SplitSizes;

/** A complete program: searches a quarter of the supernet's parameters and names what is kept. */
public final class SearchProgram {
  public static void main(String[] arguments) {
    Setup setup =
        Setup.builder()
            .sizes(new SplitSizes(Integer.parseInt(arguments[1]), 64, 64))
            .epochs(2)
            .output(Path.of(arguments[0]))
            .build();
    SearchSettings settings = SearchSettings.builder().keep(0.25).warmUpExamples(32).build();
    SearchOutcome outcome = PrunePeft.search(setup, settings, ProgressListener.NONE);
    outcome.pruning().kept().forEach(module -> System.out.println(module.name()));
    System.out.println("test " + outcome.retrained().test().text());
  }
}
