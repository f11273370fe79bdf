package org.prunepeft.cli;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.cli.ConfigFile.Keys;
import org.prunepeft.cli.Study.Limit;
import org.prunepeft.cli.Study.Method;
import org.prunepeft.cli.Study.Options;
import org.prunepeft.cli.Study.Rates;
import org.prunepeft.cli.Study.Reference;
import org.prunepeft.data.Metric;
import org.prunepeft.text.Spelling;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Reads a study's file: YAML within the bounds of any file of options, in which every key is known.
 */
final class StudyFile {
  private static final String RATE = "learning_rate";
  private static final String COMMAND = "command";
  private static final String BUDGETS = "budgets";
  private static final String DRAWS = "draws";
  private static final String METHOD = "method";
  private static final String TASK = "task";
  private static final String MODEL = "model";
  private static final String SEED = "seed";

  private static final List<String> KEYS =
      List.of(
          "output",
          "models",
          "tasks",
          "methods",
          BUDGETS,
          "seeds",
          DRAWS,
          RATE,
          "options",
          "compare_with",
          "jobs",
          "threads");

  /** They are keys of the study, which gives each run its own. */
  private static final Map<String, String> KEYS_OF_STUDIES =
      Map.of(
          "--seed",
          "seeds",
          "--seeds",
          "seeds",
          "--together",
          "seeds",
          "--draw",
          DRAWS,
          "--keep",
          BUDGETS,
          "--budget",
          BUDGETS,
          "--learning-rate",
          RATE,
          "--threads",
          "threads");

  /** By these a command names a data set and its parts. */
  static final List<String> DATA_SET =
      List.of(
          "--dataset-name",
          "--dataset-config-name",
          "--train-split-name",
          "--validation-split-name",
          "--test-split-name");

  /** By which methods of a task would not be measured alike, with {@link #DATA_SET}. */
  private static final Set<String> SAME_FOR_ALL =
      Set.of("--metric", "--test-seed", "--test-examples", "--test-file");

  /** A budget as a number, not beyond what a run's directory can be called by. */
  private static final Pattern AMOUNT =
      Pattern.compile("([0-9]{1,18}(\\.[0-9]{1,20})?|\\.[0-9]{1,20})([eE][-+]?[0-9])?");

  /** Thousands or millions, which stay as they are written. */
  private static final Pattern COUNT = Pattern.compile("[0-9.]+[kKmM]");

  private static final Rates DEFAULT_RATE = new Rates(List.of(), 0, null);
  private static final long TUNING_SEED = 1000;
  private static final int MOST = 1000;
  private static final int MOST_THREADS = 1024;

  /** Each has a directory and takes seconds or more. */
  private static final long MOST_RUNS = 100_000;

  /** Of the commands that a study may run. They are only read: all studies share them. */
  private static final Map<String, Keys> COMMANDS =
      Stream.of(Study.TRAIN, Study.SEARCH)
          .collect(
              Collectors.toMap(
                  name -> name,
                  name -> new Keys(commandSpec(name)),
                  (a, b) -> a,
                  LinkedHashMap::new));

  private static final Set<String> ALL_KEYS =
      COMMANDS.values().stream()
          .flatMap(keys -> keys.names().stream())
          .collect(Collectors.toCollection(LinkedHashSet::new));

  private final Path file;
  private final CheckedYaml yaml;

  private StudyFile(Path file) {
    this.file = file;
    yaml = new CheckedYaml(file);
  }

  private static CommandSpec commandSpec(String name) {
    return Main.commandLine(name).getSubcommands().get(name).getCommandSpec();
  }

  /**
   * {@return what a file asks for}
   *
   * @throws IllegalArgumentException if it is no YAML, has an unknown key or a value that does not
   *     fit; names the place
   * @throws java.io.UncheckedIOException if it can't be read
   */
  static Study read(Path file) {
    return new StudyFile(file).study(ConfigFile.read(file));
  }

  private Study study(Map<String, Object> read) {
    yaml.requireKnown("", read, KEYS);
    String name = file.getFileName().toString().replaceFirst("\\.ya?ml$", "");
    requireName("", "the file's name", name);
    Options common = options("options", yaml.map("options", read.get("options"), Map.of()));
    Map<String, Options> models = new LinkedHashMap<>();
    named("models", read.getOrDefault("models", List.of("minilm")))
        .forEach((model, own) -> models.put(model, over(common, options(MODEL, model, own))));
    Map<String, Options> tasks = new LinkedHashMap<>();
    named("tasks", read.get("tasks"))
        .forEach((task, own) -> tasks.put(task, options(TASK, task, own)));
    Rates rates = rates(RATE, read.get(RATE), DEFAULT_RATE);
    List<Limit> budgets = budgets(BUDGETS, read.get(BUDGETS));
    int draws = yaml.whole(DRAWS, read.getOrDefault(DRAWS, 1), MOST);
    List<Method> methods = new ArrayList<>();
    Map<String, Object> described = named("methods", read.get("methods"));
    described.forEach((method, own) -> methods.add(method(method, own, budgets, draws, rates)));
    Study study =
        new Study(
            file,
            name,
            Path.of(yaml.text("output", read.getOrDefault("output", "runs/" + name))),
            models,
            tasks,
            settled(methods, described),
            seeds(read.get("seeds")),
            yaml.names("compare_with", read.getOrDefault("compare_with", methods.get(0).name())),
            yaml.whole("jobs", read.getOrDefault("jobs", 1), MOST),
            yaml.whole("threads", read.getOrDefault("threads", 1), MOST_THREADS));
    requireConsistent(study);
    requireFewRuns(study);
    return study;
  }

  /** Before they are planned: a file of some lines may ask for billions. */
  private void requireFewRuns(Study study) {
    BigInteger each = BigInteger.ZERO;
    for (Method method : study.methods()) {
      long limits = Math.max(1, method.budgets().size());
      long tried = method.rates().tuned() ? method.rates().candidates().size() : 0;
      each =
          each.add(
              BigInteger.valueOf(limits * ((long) study.seeds().size() * method.draws() + tried)));
    }
    BigInteger runs =
        each.multiply(BigInteger.valueOf(study.tasks().size()))
            .multiply(BigInteger.valueOf(study.models().size()));
    yaml.require(
        runs.compareTo(BigInteger.valueOf(MOST_RUNS)) <= 0,
        "",
        () ->
            String.format(
                Locale.ROOT,
                "it asks for %,d runs, the most is %,d; take fewer tasks, models, methods, budgets, seeds, draws or learning rates",
                runs,
                MOST_RUNS));
  }

  /** What trains the modules of a run has the budgets of that run's method, or says its own. */
  private static List<Method> settled(List<Method> methods, Map<String, Object> described) {
    Map<String, Method> byName = byName(methods);
    return methods.stream()
        .map(
            method ->
                method.takesBudget()
                        || described.get(method.name()) instanceof Map<?, ?> own
                            && own.get(BUDGETS) != null
                    ? method
                    : method.within(ofTaken(method, byName)))
        .toList();
  }

  /** The budgets that all methods have whose runs a method takes, but for those that have none. */
  private static List<Limit> ofTaken(Method method, Map<String, Method> methods) {
    List<List<Limit>> budgets =
        method.references().stream()
            .map(reference -> methods.get(reference.method()))
            .filter(Objects::nonNull)
            .map(Method::budgets)
            .filter(own -> !own.isEmpty())
            .toList();
    if (budgets.stream().distinct().count() <= 1) {
      return budgets.isEmpty() ? List.of() : budgets.get(0);
    }
    Set<Limit> shared = new LinkedHashSet<>(budgets.get(0));
    budgets.stream().distinct().forEach(own -> shared.retainAll(new HashSet<>(own)));
    return List.copyOf(shared);
  }

  private static Map<String, Method> byName(List<Method> methods) {
    return methods.stream().collect(Collectors.toMap(Method::name, method -> method));
  }

  private void requireConsistent(Study study) {
    Map<String, Method> byName = byName(study.methods());
    List<String> methods = study.methods().stream().map(Method::name).toList();
    for (String other : study.comparedWith()) {
      yaml.require(
          byName.containsKey(other),
          "compare_with",
          () -> Spelling.unknown(METHOD, other, methods));
    }
    for (Method method : study.methods()) {
      String where = "methods." + method.name();
      for (Reference reference : method.references()) {
        yaml.require(
            byName.containsKey(reference.method()),
            where,
            () -> Spelling.unknown(METHOD, reference.method(), methods));
        yaml.require(
            reference.task() == null || study.tasks().containsKey(reference.task()),
            where,
            () -> Spelling.unknown(TASK, String.valueOf(reference.task()), study.tasks().keySet()));
        Method its = byName.get(reference.method());
        yaml.require(
            its.references().isEmpty(),
            where,
            "it takes a run of %s, which takes another's; name a method that takes none"
                .formatted(its.name()));
        yaml.require(
            its.budgets().isEmpty()
                || its.budgets().equals(method.budgets())
                || new HashSet<>(its.budgets()).containsAll(method.budgets()),
            where,
            () ->
                "it takes runs of %s, which has the budgets %s and not all of %s"
                    .formatted(its.name(), texts(its.budgets()), texts(method.budgets())));
        yaml.require(
            its.budgets().isEmpty() || !method.budgets().isEmpty(),
            where,
            () ->
                "it has no budget and takes runs of %s, which has %s; give it budgets"
                    .formatted(its.name(), texts(its.budgets())));
      }
      yaml.require(
          method.takesBudget()
              || method.budgets().isEmpty()
              || method.references().stream()
                  .anyMatch(one -> !byName.get(one.method()).budgets().isEmpty()),
          where,
          "budgets are those of the runs that it takes, and these have none; leave them out");
      yaml.require(
          !method.rates().tuned() || !study.seeds().contains(method.rates().seed()),
          where,
          "learning rates are tried on seed %d, which is one of the study's; take another"
              .formatted(method.rates().seed()));
    }
  }

  private static List<String> texts(List<Limit> budgets) {
    return budgets.stream().map(Limit::text).toList();
  }

  private Method method(String name, Object value, List<Limit> budgets, int draws, Rates rates) {
    String where = "methods." + name;
    Map<String, Object> own = new LinkedHashMap<>(yaml.map(where, value, null));
    String command = yaml.text(where + "." + COMMAND, own.remove(COMMAND));
    yaml.require(
        COMMANDS.containsKey(command),
        where,
        () -> Spelling.unknown(COMMAND, command, List.of(Study.TRAIN, Study.SEARCH)));
    Object ownBudgets = own.remove(BUDGETS);
    Object ownDraws = own.remove(DRAWS);
    Rates ownRates = rates(where + "." + RATE, own.remove(RATE), rates);
    List<Reference> references = new ArrayList<>();
    Map<String, Object> plain = new LinkedHashMap<>();
    own.forEach(
        (key, option) -> {
          if (option instanceof Map) {
            references.add(reference(where, command, key, option));
          } else {
            plain.put(key, option);
          }
        });
    Map<OptionSpec, String> options = options(where, plain, COMMANDS.get(command));
    String modules = options.getOrDefault(COMMANDS.get(command).option("modules"), "");
    boolean search = command.equals(Study.SEARCH);
    boolean random = !search && TrainCommand.isRandom(modules);
    boolean budgeted = search || !references.isEmpty() || TrainCommand.goesByBudget(modules);
    yaml.require(ownDraws == null || random, where, "draws are for train with modules: random");
    yaml.require(
        ownBudgets == null || budgeted || budgets(where, ownBudgets).isEmpty(),
        where,
        "budgets are for search, and for train with modules that go by one");
    List<Limit> its =
        !budgeted
            ? List.of()
            : ownBudgets == null ? budgets : budgets(where + "." + BUDGETS, ownBudgets);
    return new Method(
        name,
        command,
        options,
        references,
        its,
        !random ? 1 : ownDraws == null ? draws : yaml.whole(where + "." + DRAWS, ownDraws, MOST),
        ownRates);
  }

  private Reference reference(String where, String command, String key, Object value) {
    Map<String, Object> its = yaml.map(where + "." + key, value, null);
    yaml.requireKnown(where + "." + key, its, List.of(METHOD, TASK));
    OptionSpec option =
        options(where, Map.of(key, "a run"), COMMANDS.get(command)).keySet().iterator().next();
    return new Reference(
        option,
        yaml.text(where + "." + key + "." + METHOD, its.get(METHOD)),
        its.get(TASK) == null ? null : yaml.text(where + "." + key + "." + TASK, its.get(TASK)));
  }

  /** A model's or a task's options: of one that says nothing more, its name. */
  private Options options(String kind, String name, Object value) {
    String where = kind + "s." + name;
    if (value instanceof String text && kind.equals(MODEL)) {
      return options(where, Map.of(MODEL, text));
    }
    Map<String, Object> own = new LinkedHashMap<>(yaml.map(where, value, Map.of()));
    boolean elsewhere =
        kind.equals(TASK)
            && Stream.of("train_file", "dataset_name")
                .anyMatch(key -> own.containsKey(key) || own.containsKey(key.replace('_', '-')));
    if (!elsewhere && !own.containsKey(kind)) {
      own.put(kind, name);
    }
    return options(where, own);
  }

  /** Of each command those that it has. */
  private Options options(String where, Map<String, Object> own) {
    for (String key : own.keySet()) {
      yaml.require(
          ALL_KEYS.contains(ConfigFile.underscored(key)),
          where,
          () -> Spelling.unknown("key", key, ALL_KEYS));
    }
    Map<String, Map<OptionSpec, String>> byCommand = new LinkedHashMap<>();
    COMMANDS.forEach(
        (name, keys) -> {
          Map<String, Object> its = new LinkedHashMap<>(own);
          its.keySet().removeIf(key -> keys.option(key) == null);
          byCommand.put(name, options(where, its, keys));
        });
    return new Options(byCommand);
  }

  private Map<OptionSpec, String> options(String where, Map<String, Object> own, Keys known) {
    Map<OptionSpec, String> values = new ConfigFile(yaml.place(where), own, known).values();
    for (OptionSpec option : values.keySet()) {
      String name = ConfigFile.name(option);
      String key = KEYS_OF_STUDIES.get(name);
      yaml.require(
          key == null,
          where,
          "%s is no option of a study's runs; the study has a key %s for it"
              .formatted(name.substring(2).replace('-', '_'), key));
      yaml.require(
          !SAME_FOR_ALL.contains(name) && !DATA_SET.contains(name) || !where.startsWith("methods."),
          where,
          "%s must be the same for all methods that are compared; name it under tasks or options"
              .formatted(name.substring(2).replace('-', '_')));
      yaml.require(
          !name.equals("--model") || where.startsWith("models."),
          where,
          "the model is named under models");
    }
    return values;
  }

  private Options over(Options lower, Options upper) {
    Map<String, Map<OptionSpec, String>> byCommand = new LinkedHashMap<>();
    lower
        .byCommand()
        .forEach(
            (command, options) -> {
              Map<OptionSpec, String> both = new LinkedHashMap<>(options);
              both.putAll(upper.of(command));
              byCommand.put(command, both);
            });
    return new Options(byCommand);
  }

  private Rates rates(String where, Object value, Rates otherwise) {
    if (value == null) {
      return otherwise;
    }
    if (value.equals("default")) {
      return DEFAULT_RATE;
    }
    if (!(value instanceof Map)) {
      return new Rates(List.of(rate(where, value)), 0, null);
    }
    Map<String, Object> own = yaml.map(where, value, null);
    yaml.requireKnown(where, own, List.of("candidates", SEED, "metric"));
    List<String> candidates =
        yaml.list(where + ".candidates", own.get("candidates")).stream()
            .map(one -> rate(where, one))
            .toList();
    yaml.require(
        candidates.stream()
                .map(BigDecimal::new)
                .map(BigDecimal::stripTrailingZeros)
                .distinct()
                .count()
            == candidates.size(),
        where,
        "a candidate is there twice: " + candidates);
    return new Rates(
        candidates,
        yaml.integer(where + "." + SEED, own.getOrDefault(SEED, TUNING_SEED)),
        own.get("metric") == null ? null : metric(where + ".metric", own.get("metric")));
  }

  private String metric(String where, Object value) {
    try {
      return Metric.byKey(yaml.text(where, value)).key();
    } catch (IllegalArgumentException e) {
      throw yaml.wrong(where, e.getMessage());
    }
  }

  /** As the command line writes it. */
  private String rate(String where, Object value) {
    String text = RecordOptions.text(value);
    boolean fits = text.matches("[0-9]{1,20}(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?");
    yaml.require(
        fits && new BigDecimal(text).signum() > 0,
        where,
        "a learning rate is a number above 0, such as 1e-3, or default; got " + value);
    return text;
  }

  private List<Limit> budgets(String where, Object value) {
    if (value == null || value.equals(List.of())) {
      return List.of();
    }
    Map<BigDecimal, Limit> budgets = new LinkedHashMap<>();
    for (Object one : yaml.list(where, value)) {
      BigDecimal amount = amount(where, one.toString());
      boolean counted = COUNT.matcher(one.toString()).matches();
      boolean share = !counted && amount.compareTo(BigDecimal.ONE) <= 0;
      String text = counted ? one.toString() : amount.toPlainString();
      yaml.require(
          budgets.put(amount, new Limit(text, share ? "--keep" : "--budget")) == null,
          where,
          "%s is there twice".formatted(amount.toPlainString()));
    }
    return List.copyOf(budgets.values());
  }

  /** At most 1 it is a share of the supernet's parameters, above it their number. */
  private BigDecimal amount(String where, String text) {
    BigDecimal amount;
    try {
      amount =
          AMOUNT.matcher(text).matches()
              ? new BigDecimal(text)
              : BigDecimal.valueOf(new BudgetOptions.Count().convert(text));
    } catch (CommandLine.TypeConversionException e) {
      throw yaml.wrong(where, "a budget is a share such as 0.25, or a number: " + e.getMessage());
    }
    yaml.require(amount.signum() > 0, where, "a budget is above 0, got " + text);
    boolean whole = amount.stripTrailingZeros().scale() <= 0;
    yaml.require(
        whole || amount.compareTo(BigDecimal.ONE) < 0,
        where,
        "a budget is a share of at most 1, or a whole number of parameters, got " + text);
    return amount.stripTrailingZeros();
  }

  private List<Long> seeds(Object value) {
    List<Long> seeds =
        yaml.list("seeds", value == null ? List.of(0) : value).stream()
            .map(seed -> yaml.integer("seeds", seed))
            .toList();
    yaml.requireDistinct("seeds", seeds.stream().map(String::valueOf).toList());
    return seeds;
  }

  /** Names with what belongs to each; a list has names alone. */
  private Map<String, Object> named(String where, Object value) {
    Map<String, Object> named = new LinkedHashMap<>();
    if (value instanceof Collection<?> names) {
      names.forEach(name -> named.put(yaml.text(where, name), null));
    } else {
      named.putAll(yaml.map(where, value, null));
    }
    yaml.require(!named.isEmpty(), where, "one or more are needed, got none");
    named.keySet().forEach(name -> requireName(where, "a name", name));
    yaml.requireDistinct(
        where, named.keySet().stream().map(name -> name.toLowerCase(Locale.ROOT)).toList());
    return named;
  }

  /** Runs' directories are called by them. */
  private void requireName(String where, String what, String name) {
    yaml.require(
        name.matches("[A-Za-z0-9][A-Za-z0-9.-]{0,59}"),
        where,
        "%s has at most 60 letters, digits, dots and dashes, got '%s'".formatted(what, name));
  }
}
