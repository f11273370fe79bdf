package org.prunepeft;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import org.junit.jupiter.api.Test;

/** Who may know whom: the table of docs/architecture.md. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("org.prunepeft");

  private static final String[] LIBTORCH = {"org.bytedeco.pytorch..", "org.prunepeft.torch.."};

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
    noClasses()
        .that()
        .resideInAPackage("org.prunepeft.search..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.bytedeco..", "org.prunepeft.torch..", "org.prunepeft.kernels..")
        .check(CLASSES);
  }

  @Test
  void kernelsKnowNoLibTorch() {
    noClasses()
        .that()
        .resideInAPackage("org.prunepeft.kernels..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(LIBTORCH)
        .check(CLASSES);
  }

  @Test
  void filesAndDataKnowNoLibTorch() {
    noClasses()
        .that()
        .resideInAnyPackage(
            "org.prunepeft.text..",
            "org.prunepeft.io..",
            "org.prunepeft.files..",
            "org.prunepeft.checkpoint..",
            "org.prunepeft.data..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(LIBTORCH)
        .check(CLASSES);
  }

  @Test
  void dataKnowsNoModels() {
    noClasses()
        .that()
        .resideInAPackage("org.prunepeft.data..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.prunepeft.model..", "org.prunepeft.peft..", "org.prunepeft.train..")
        .check(CLASSES);
  }

  @Test
  void modelsKnowNoModules() {
    noClasses()
        .that()
        .resideInAPackage("org.prunepeft.model..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.prunepeft.peft..", "org.prunepeft.train..", "org.prunepeft.search..")
        .check(CLASSES);
  }

  @Test
  void trainingKnowsNoModuleTypes() {
    noClasses()
        .that()
        .resideInAPackage("org.prunepeft.train..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.prunepeft.peft.type..")
        .check(CLASSES);
  }

  @Test
  void belowARunNothingKnowsIt() {
    noClasses()
        .that()
        .resideOutsideOfPackages(
            "org.prunepeft",
            "org.prunepeft.run..",
            "org.prunepeft.report..",
            "org.prunepeft.settings..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.prunepeft",
            "org.prunepeft.run..",
            "org.prunepeft.report..",
            "org.prunepeft.settings..")
        .check(CLASSES);
  }
}
