package org.prunepeft.model;

import java.nio.file.Files;
import org.prunepeft.io.MavenArtifact;

/** Whether models' files are there, which a test may need. */
final class ModelResources {
  private ModelResources() {}

  /**
   * {@return whether a resource can be opened}
   *
   * @param jar where it may be beside the class path; null: nowhere
   */
  static boolean arePresent(MavenArtifact jar, String resource) {
    return ModelResources.class.getClassLoader().getResource(resource) != null
        || (jar != null && Files.exists(jar.file()));
  }
}
