package org.prunepeft.cli;

import ai.djl.huggingface.translator.TextClassificationTranslatorFactory;
import ai.djl.modality.Classifications;
import ai.djl.repository.zoo.Criteria;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Classifies texts by an ONNX export in DJL, by its own translator for texts, whose softmax and
 * batches are those of a second engine. Arguments and what it prints are those of {@link DjlTexts}.
 */
final class DjlTranslator {
  public static void main(String[] arguments) throws Exception {
    DjlTexts.print(
        Criteria.builder()
            .setTypes(String.class, Classifications.class)
            .optEngine("OnnxRuntime")
            .optModelPath(Path.of(arguments[0]))
            .optTranslatorFactory(new TextClassificationTranslatorFactory())
            .optArgument("padding", true)
            .build(),
        Arrays.asList(arguments).subList(1, arguments.length));
  }
}
