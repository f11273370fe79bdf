package org.prunepeft;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.properties.HasModifiers;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.ModuleStatistics;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.measured.MeasuredResult;

/** Who may know whom: the table of docs/architecture.md. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("org.prunepeft");

  private static final String[] LIBTORCH = {"org.bytedeco.pytorch..", "org.prunepeft.torch.."};

  private static final String[] RUN = {
    "org.prunepeft", "org.prunepeft.run..", "org.prunepeft.report..", "org.prunepeft.settings.."
  };

  /** Results, which are read: the library alone makes them. */
  private static final Set<Class<?>> RESULTS =
      Set.of(
          TrainOutcome.class,
          PruningRound.class,
          ModuleStatistics.class,
          MeasuredResult.class,
          RunInfo.class);

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
  void dataKnowsNoModels() {
    unknown(
        "org.prunepeft.data..",
        "org.prunepeft.model..",
        "org.prunepeft.peft..",
        "org.prunepeft.train..");
  }

  @Test
  void modelsKnowNoModules() {
    unknown(
        "org.prunepeft.model..",
        "org.prunepeft.peft..",
        "org.prunepeft.train..",
        "org.prunepeft.search..");
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
  void belowARunNothingKnowsIt() {
    noClasses()
        .that()
        .resideOutsideOfPackages(RUN)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(RUN)
        .check(CLASSES);
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

  private static boolean isPublic(HasModifiers what) {
    return what.getModifiers().contains(JavaModifier.PUBLIC);
  }

  private static boolean isBuiltOrResult(JavaClass type) {
    return CLASSES.contain(type.getName().replace("$", "") + "Builder")
        || RESULTS.stream().anyMatch(type::isEquivalentTo);
  }

  /** The packages that are for everyone. */
  private static Set<String> exported() throws URISyntaxException {
    Path library =
        Path.of(PrunePeft.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    ModuleDescriptor module =
        ModuleFinder.of(library).find("org.prunepeft").orElseThrow().descriptor();
    Set<String> exported = new HashSet<>(Set.of("org.prunepeft.kernels"));
    module.exports().stream()
        .filter(one -> !one.isQualified())
        .forEach(one -> exported.add(one.source()));
    return exported;
  }
}
