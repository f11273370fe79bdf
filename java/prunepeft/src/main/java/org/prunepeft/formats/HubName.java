package org.prunepeft.formats;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.prunepeft.model.Models;

/** The names on the hub of models that are known here by other names: base_model_name_or_path. */
public final class HubName {
  private static final Pattern ON_HUB = Pattern.compile("(\\w[\\w.-]*/)?\\w[\\w.-]*");

  private HubName() {}

  /** A model's name on the hub, or its directory. */
  public static String of(String model) {
    return Models.hubName(model).orElse(model);
  }

  /** Whether a base model's name is one on the hub, and no directory. */
  public static boolean isOne(String base) {
    return ON_HUB.matcher(base).matches() && !Files.isDirectory(Path.of(base));
  }

  /**
   * {@return a name on the hub, as it is}
   *
   * @throws IllegalArgumentException if it cannot be one
   */
  public static String require(String name) {
    if (!ON_HUB.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "'%s' is no name of a model on the hub; one is like google/electra-small-discriminator"
              .formatted(name));
    }
    return name;
  }

  /** The inverse: a name here, or what is given, which may be a directory. */
  public static String model(String hubName) {
    return Models.localName(hubName);
  }
}
