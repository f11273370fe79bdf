package org.prunepeft.formats;

import org.prunepeft.model.Models;

/** The names on the hub of models that are known here by other names: base_model_name_or_path. */
public final class HubName {
  private HubName() {}

  /** A model's name on the hub, or its directory. */
  public static String of(String model) {
    return Models.hubName(model).orElse(model);
  }

  /** The inverse: a name here, or what is given, which may be a directory. */
  public static String model(String hubName) {
    return Models.localName(hubName);
  }
}
