package org.prunepeft.examples;

import java.nio.file.Path;
import org.prunepeft.PrunePeft;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;

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
    outcome.kept().forEach(module -> System.out.println(module.name()));
    System.out.println("test " + outcome.retrained().test().text());
  }
}
