package org.prunepeft.cli;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Another chat template than the run's or the model's. */
class TemplateOption {
  static final String TEMPLATE = "--chat-template";

  @Option(
      names = TEMPLATE,
      paramLabel = "FILE",
      description =
          "Chat template in Jinja by which conversations are written (default: the run's, or the model's own).")
  private Path template;

  /** Null where none is named. */
  final Path template() {
    return template == null ? null : template.toAbsolutePath();
  }
}
