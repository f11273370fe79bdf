package org.prunepeft.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.prunepeft.PrunePeft;

/** What the command line may know of the library. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("org.prunepeft.cli");

  private static final Set<String> EXPORTED = exported();

  @Test
  void commandsKnowNoTensors() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.bytedeco.pytorch..")
        .check(CLASSES);
  }

  @Test
  void commandsUseNoMoreThanAnyProgramMay() {
    noClasses()
        .should()
        .dependOnClassesThat(
            DescribedPredicate.describe(
                "are the library's own", type -> !isPublic(type.getPackageName())))
        .check(CLASSES);
  }

  private static boolean isPublic(String name) {
    return !name.startsWith("org.prunepeft")
        || name.startsWith("org.prunepeft.cli")
        || name.startsWith("org.prunepeft.kernels")
        || EXPORTED.contains(name);
  }

  /** To everyone, not to the command line alone. */
  private static Set<String> exported() {
    try {
      Path library =
          Path.of(PrunePeft.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      return ModuleFinder.of(library)
          .find("org.prunepeft")
          .orElseThrow()
          .descriptor()
          .exports()
          .stream()
          .filter(one -> !one.isQualified())
          .map(ModuleDescriptor.Exports::source)
          .collect(Collectors.toSet());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }
}
