package org.prunepeft.cli;

import ai.djl.Model;
import ai.djl.huggingface.translator.TextClassificationTranslatorFactory;
import ai.djl.modality.Classifications;
import ai.djl.translate.Translator;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/**
 * Classifies texts by an ONNX export in DJL, by its own translator for texts, whose softmax and
 * batches are those of a second engine. Arguments and what it prints are those of {@link DjlTexts}.
 */
final class DjlTranslator {
  public static void main(String[] arguments) throws Exception {
    try (Model model = DjlTexts.load(Path.of(arguments[0]))) {
      boolean types = DjlTexts.takesTypes(model);
      Translator<String, Classifications> translator =
          new TextClassificationTranslatorFactory()
              .newInstance(
                  String.class,
                  Classifications.class,
                  model,
                  Map.of("includeTokenTypes", types, "padding", true));
      DjlTexts.print(model, translator, Arrays.asList(arguments).subList(1, arguments.length));
    }
  }
}
