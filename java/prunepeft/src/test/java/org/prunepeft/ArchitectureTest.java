package org.prunepeft;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.properties.HasModifiers;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.io.IOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.ModuleStatistics;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.measured.MeasuredResult;

/** Who may know whom: the table of docs/architecture.md. */
class ArchitectureTest {
  private static final String ROOT = "org.prunepeft";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(ROOT);

  /** Bold or not, a package's name, and the names in the last column. */
  private static final Pattern ROW =
      Pattern.compile("\\| (\\**)`([\\w.]+)`\\** \\| .* \\| (.*) \\|");

  private static final Pattern NAME = Pattern.compile("`([\\w.]+)`");

  private static final String[] LIBTORCH = {"org.bytedeco.pytorch..", "org.prunepeft.torch.."};

  /** Results, which are read: the library alone makes them. */
  private static final Set<Class<?>> RESULTS =
      Set.of(
          TrainOutcome.class,
          PruningRound.class,
          ModuleStatistics.class,
          MeasuredResult.class,
          MeasuredFile.class,
          RunInfo.class,
          RunContents.class);

  /** Each package for itself, those inside another too. */
  private static final SliceAssignment PACKAGES =
      new SliceAssignment() {
        @Override
        public SliceIdentifier getIdentifierOf(JavaClass type) {
          return SliceIdentifier.of(type.getPackageName());
        }

        @Override
        public String getDescription() {
          return "packages";
        }
      };

  /** A row of the table. */
  private record Row(boolean bold, List<String> knows) {}

  /** The table of docs/architecture.md, by the packages' whole names. */
  private static Map<String, Row> table() throws IOException, URISyntaxException {
    Map<String, Row> table = new LinkedHashMap<>();
    for (String line : Files.readAllLines(library().resolve("../../../../docs/architecture.md"))) {
      Matcher row = ROW.matcher(line);
      if (row.matches()) {
        List<String> knows =
            NAME.matcher(row.group(3)).results().map(name -> whole(name.group(1))).toList();
        table.put(whole(row.group(2)), new Row(!row.group(1).isEmpty(), knows));
      }
    }
    return table;
  }

  private static String whole(String name) {
    return name.startsWith(ROOT) ? name : ROOT + "." + name;
  }

  /** The row of a package: its own, or that of the package around it. */
  private static String row(Map<String, Row> table, String name) {
    String row = name;
    while (!table.containsKey(row)) {
      row = row.substring(0, row.lastIndexOf('.'));
    }
    return row;
  }

  /** Adds a row, those that it knows, and what lies below these. */
  private static void addBelow(Map<String, Row> table, String name, Set<String> to) {
    if (to.add(name)) {
      Row row = Objects.requireNonNull(table.get(name), "the table has no row " + name);
      row.knows.forEach(other -> addBelow(table, other, to));
    }
  }

  @Test
  void packagesKnowWhatTheTableSays() throws IOException, URISyntaxException {
    Map<String, Row> table = table();
    Set<String> others = new TreeSet<>();
    for (JavaClass type : CLASSES) {
      Set<String> known = new HashSet<>();
      addBelow(table, row(table, type.getPackageName()), known);
      for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
        String other = dependency.getTargetClass().getBaseComponentType().getPackageName();
        if (other.startsWith(ROOT) && !known.contains(row(table, other))) {
          others.add(type.getName() + " knows " + other);
        }
      }
    }
    assertEquals(Set.of(), others);
  }

  @Test
  void whatTheTableHasInBoldIsExported() throws IOException, URISyntaxException {
    Map<String, Row> table = table();
    table.values().removeIf(row -> !row.bold);
    assertEquals(exported(), table.keySet());
  }

  @Test
  void packagesHaveNoCycles() {
    slices().assignedFrom(PACKAGES).should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void areasHaveNoCycles() {
    slices().matching("org.prunepeft.(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void searchKnowsNumbersAlone() {
    unknown(
        "org.prunepeft.search..",
        "org.bytedeco..",
        "org.prunepeft.torch..",
        "org.prunepeft.kernels..");
  }

  @Test
  void kernelsKnowNoLibTorch() {
    unknown("org.prunepeft.kernels..", LIBTORCH);
  }

  @Test
  void filesAndDataKnowNoLibTorch() {
    for (String area : List.of("text", "io", "files", "checkpoint", "data")) {
      unknown("org.prunepeft." + area + "..", LIBTORCH);
    }
  }

  @Test
  void trainingKnowsNoModuleTypes() {
    unknown("org.prunepeft.train..", "org.prunepeft.peft.type..");
  }

  private static void unknown(String toThese, String... others) {
    noClasses()
        .that()
        .resideInAPackage(toThese)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(others)
        .check(CLASSES);
  }

  @Test
  void moduleTypesOfTheLibraryThatNeedNoSettingsAreKnownByTheirNames() throws Exception {
    Set<String> types = new TreeSet<>();
    for (JavaClass type : CLASSES) {
      if (type.getPackageName().equals(ROOT + ".peft.type")
          && type.isAssignableTo(ModuleType.class)
          && type.tryGetConstructor().isPresent()
          && type.getConstructor().getModifiers().contains(JavaModifier.PUBLIC)) {
        Object one = Class.forName(type.getName()).getConstructor().newInstance();
        types.add(((ModuleType) one).name());
      }
    }
    assertEquals(Set.of("vera"), types);
    types.forEach(ModuleTypes::byName);
  }

  /** But for constructors of records that have a builder, and of results. */
  @Test
  void publicMethodsHaveAtMostSixParameters() throws URISyntaxException {
    Set<String> exported = exported();
    List<String> wide =
        CLASSES.stream()
            .filter(type -> exported.contains(type.getPackageName()) && isPublic(type))
            .flatMap(type -> type.getCodeUnits().stream())
            .filter(unit -> isPublic(unit) && unit.getRawParameterTypes().size() > 6)
            .filter(unit -> !(unit.isConstructor() && isBuiltOrResult(unit.getOwner())))
            .map(JavaCodeUnit::getFullName)
            .toList();
    assertEquals(List.of(), wide);
  }

  /**
   * Methods of exported classes that other packages of the library call, and that take or give what
   * no program can name.
   */
  private static final Map<String, String> INTERNAL =
      Map.of(
          "settings.Setup.peft",
          "a run's and a loaded run's modules; a program trains them by PrunePeft",
          "settings.Setup.sized",
          "what a measured search chose; a program has it by ModuleChoice",
          "settings.MeasuringSettings.slices",
          "a measured search cuts modules; a program has their names in its outcome");

  /** But for the interfaces to extend the library by, which name LibTorch's tensors too. */
  private static final Set<String> EXTENDED =
      Set.of(ROOT + ".model", ROOT + ".peft", ROOT + ".torch");

  @Test
  void signaturesForEveryoneNameWhatIsExported() throws URISyntaxException {
    Set<String> exported = exported();
    Set<String> found = new TreeSet<>();
    for (JavaClass type : CLASSES) {
      String name = type.getPackageName();
      if (!exported.contains(name) || EXTENDED.contains(name) || !isPublic(type)) {
        continue;
      }
      for (JavaCodeUnit unit : type.getCodeUnits()) {
        List<JavaClass> named = new ArrayList<>(unit.getRawParameterTypes());
        named.add(unit.getRawReturnType());
        boolean hidden =
            named.stream()
                .map(JavaClass::getBaseComponentType)
                .filter(one -> one.getPackageName().startsWith(ROOT))
                .anyMatch(one -> !exported.contains(one.getPackageName()) || !isPublic(one));
        if (hidden && isPublic(unit) && !isSynthetic(unit)) {
          found.add(type.getName().substring(ROOT.length() + 1) + "." + unit.getName());
        }
      }
    }
    assertEquals(new TreeSet<>(INTERNAL.keySet()), found);
  }

  private static boolean isSynthetic(HasModifiers what) {
    return what.getModifiers().contains(JavaModifier.SYNTHETIC);
  }

  private static boolean isPublic(HasModifiers what) {
    return what.getModifiers().contains(JavaModifier.PUBLIC);
  }

  private static boolean isBuiltOrResult(JavaClass type) {
    return CLASSES.contain(type.getName().replace("$", "") + "Builder")
        || RESULTS.stream().anyMatch(type::isEquivalentTo);
  }

  /** Where the library's classes are. */
  private static Path library() throws URISyntaxException {
    return Path.of(PrunePeft.class.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  private static ModuleDescriptor module() throws URISyntaxException {
    return ModuleFinder.of(library()).find(ROOT).orElseThrow().descriptor();
  }

  /** The packages that are for everyone. */
  private static Set<String> exported() throws URISyntaxException {
    Set<String> exported = new HashSet<>(Set.of(ROOT + ".kernels"));
    module().exports().stream()
        .filter(one -> !one.isQualified())
        .forEach(one -> exported.add(one.source()));
    return exported;
  }
}
