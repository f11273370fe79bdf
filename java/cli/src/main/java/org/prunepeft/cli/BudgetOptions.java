package org.prunepeft.cli;

import java.math.BigDecimal;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.SearchSettings;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How many trainable parameters the modules may have: a share of the supernet's, or a number. */
@OptionsOf(SearchSettings.class)
final class BudgetOptions {
  private static final String SHARE = "--keep";
  private static final String PARAMETERS = "--budget";

  @Option(
      names = SHARE,
      split = ",",
      converter = Share.class,
      paramLabel = "SHARE",
      description =
          "Share of the supernet's trainable parameters to keep (default: ${DEFAULT-VALUE}). Several, such as 0.5,0.25: a run for each, in a directory each; a search by pruning goes on from what it has kept for the larger share.")
  private List<Double> keep;

  @Option(
      names = PARAMETERS,
      split = ",",
      converter = Count.class,
      paramLabel = "N",
      description =
          "Most trainable parameters to keep, such as 200000, 200k or 1.5M, instead of a share (--keep); or several.")
  private List<Long> parameters;

  /** A share that may be in percent. */
  static final class Share implements ITypeConverter<Double> {
    @Override
    public Double convert(String text) {
      return Numbers.share(text);
    }
  }

  /** A number that may end in k or M, for thousands and millions. */
  static final class Count implements ITypeConverter<Long> {
    private static final Pattern TEXT =
        Pattern.compile("([-+]?[0-9]{1,18}(?:\\.[0-9]{1,9})?)([kKmM]?)");

    @Override
    public Long convert(String text) {
      Matcher parts = TEXT.matcher(text);
      try {
        if (parts.matches()) {
          int zeros = parts.group(2).isEmpty() ? 0 : parts.group(2).equalsIgnoreCase("k") ? 3 : 6;
          return new BigDecimal(parts.group(1)).scaleByPowerOfTen(zeros).longValueExact();
        }
      } catch (ArithmeticException e) {
        // Below one parameter, or beyond all of them.
      }
      throw new TypeConversionException(
          "'%s' is not a whole number such as 200000, 200k or 1.5M".formatted(text));
    }
  }

  /**
   * The budgets in effect, one or more; the option that says nothing then is no longer set.
   *
   * @throws IllegalArgumentException if both options are on the command line, or the value of one
   *     is out of its range
   */
  List<Budget> settle(CommandSpec command) {
    if (ConfigFile.isTyped(SHARE, command) && ConfigFile.isTyped(PARAMETERS, command)) {
      throw new IllegalArgumentException(
          "%s %s and %s %s both say how much to keep; leave one out"
              .formatted(SHARE, joined(keep), PARAMETERS, joined(parameters)));
    }
    if (ConfigFile.isTypedInstead(SHARE, PARAMETERS, command)) {
      parameters = null;
    }
    if (parameters == null) {
      return keep.stream().map(Budget::share).toList();
    }
    keep = null;
    return parameters.stream().map(Budget::parameters).toList();
  }

  private static String joined(List<?> values) {
    return values.stream().map(String::valueOf).collect(Collectors.joining(","));
  }

  /** One of several: the options are then those of its run. */
  void take(Budget one) {
    boolean number = one.parameters().isPresent();
    keep = number ? null : List.of(one.share());
    parameters = number ? List.of(one.parameters().getAsLong()) : null;
  }

  /**
   * Of a training that has no budget: neither option is then set. In a file they may stand; it may
   * be that of another training.
   *
   * @throws IllegalArgumentException if one is on the command line
   */
  void refuse(CommandSpec command, String modules) {
    new IdleOptions(command)
        .refuse(
            true,
            "%s is for --modules all-linear, random, first-layers, middle-layers and last-layers, and for search, but --modules is "
                + modules
                + ", which says itself what is trained; leave %s out",
            List.of(SHARE, PARAMETERS));
    keep = null;
    parameters = null;
  }
}
