package org.prunepeft.checkpoint;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** What decides what a language model writes, beside its weights and its tokenizer. */
public final class WritingFiles {
  static final String CHAT_TEMPLATE = "chat_template.jinja";

  /** A directory of templates by their names, beside the default one. */
  static final String MORE_TEMPLATES = "additional_chat_templates";

  /** Chat templates as transformers kept those of processors; ours are not read from it. */
  static final String OF_PROCESSORS = "chat_template.json";

  /** Those that are read, by their names in a model directory. */
  static final List<String> NAMES =
      List.of(
          CHAT_TEMPLATE,
          MORE_TEMPLATES + "/default.jinja",
          MORE_TEMPLATES + "/tool_use.jinja",
          HuggingFaceDirectory.GENERATION_CONFIG);

  private WritingFiles() {}

  /**
   * {@return whether a file is one of {@link #NAMES}}
   *
   * @param file a path, or a name alone
   */
  public static boolean isOne(Path file) {
    return !isUnread(file) && NAMES.stream().anyMatch(one -> Path.of(one).endsWith(name(file)));
  }

  /**
   * {@return whether a file is a chat template}
   *
   * @param file a path, or a name alone
   */
  public static boolean isTemplate(Path file) {
    String name = name(file);
    return name.endsWith(".jinja") || name.equals(OF_PROCESSORS);
  }

  /**
   * {@return whether a file is a chat template that nothing here reads: one by another name than
   * those that are, or that of a processor}
   *
   * @param file a path, or a name alone
   */
  public static boolean isUnread(Path file) {
    String name = name(file);
    if (!name.endsWith(".jinja")) {
      return name.equals(OF_PROCESSORS);
    }
    Path folder = file.getParent();
    return folder != null && folder.endsWith(MORE_TEMPLATES)
        ? !NAMES.contains(MORE_TEMPLATES + "/" + name)
        : NAMES.stream().noneMatch(one -> Path.of(one).endsWith(name));
  }

  /** Of a root, which has none, an empty one. */
  private static String name(Path file) {
    return Objects.toString(file.getFileName(), "");
  }
}
