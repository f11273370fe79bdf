package org.prunepeft;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeSet;
import org.prunepeft.data.Metric;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.formats.HubName;
import org.prunepeft.formats.TrainedAdapter;
import org.prunepeft.model.Precision;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Markdown;

/** The README.md of an export, as the hub shows it: what it is, how good it is, how it is used. */
final class ModelCard {
  static final String FILE = "README.md";

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Whose files they are. */
  enum Library {
    PEFT("peft"),
    ADAPTERS("adapter-transformers"),
    GGUF("gguf"),
    ONNX("onnx"),
    TRANSFORMERS("transformers");

    private final String hubName;

    Library(String hubName) {
      this.hubName = hubName;
    }

    /** The library of an adapter format. */
    static Library of(String format) {
      return switch (format) {
        case "peft" -> PEFT;
        case "gguf" -> GGUF;
        default -> ADAPTERS;
      };
    }
  }

  private final Setup setup;
  private final TrainedAdapter adapter;
  private final Map<String, Object> result;
  private final boolean full;

  private ModelCard(RunDirectory run, Setup setup, TrainedAdapter adapter) {
    this.setup = setup;
    this.adapter = adapter;
    result = run.readJson(RunFiles.RESULT);
    full = RunFiles.isFull(run);
  }

  /** The card of a run's export. */
  static String of(RunDirectory run, Setup setup, TrainedAdapter adapter, Library library)
      throws IOException {
    ModelCard card = new ModelCard(run, setup, adapter);
    return card.frontMatter(library)
        + card.text()
        + template(card.usage(library))
            .replace("LENGTH", Integer.toString(setup.training().maxLength()))
            .replace("BASE", card.base())
            .replace("POOLED", card.pooled());
  }

  /** The name of the template that shows how it is used. */
  private String usage(Library library) {
    if (adapter.headComparesTexts() && library != Library.ONNX) {
      return library == Library.TRANSFORMERS ? "transformers-pairs" : "pairs";
    }
    boolean decoder = adapter.encoder().architecture().isDecoder();
    String head = decoder ? "-decoder-head" : "";
    return switch (library) {
      case PEFT -> "peft" + (adapter.hasHead() ? head : "-language");
      case ADAPTERS -> "adapters";
      case GGUF -> "gguf";
      case ONNX -> "onnx";
      case TRANSFORMERS -> "transformers" + (adapter.hasHead() ? head : "-language");
    };
  }

  /** What stands for the texts of a pair. */
  private String pooled() {
    return adapter.encoder().architecture().isDecoder()
        ? "the last hidden states of their last tokens"
        : "the means of their last hidden states";
  }

  private String base() {
    return HubName.isOne(adapter.base()) ? adapter.base() : "the base model";
  }

  private String frontMatter(Library library) {
    StringJoiner lines = new StringJoiner("\n", "---\n", "\n---\n\n");
    if (HubName.isOne(adapter.base())) {
      lines.add("base_model: " + adapter.base());
      lines.add("base_model_relation: " + relation(library));
    }
    lines.add("library_name: " + library.hubName);
    lines.add("pipeline_tag: text-" + (adapter.hasHead() ? "classification" : "generation"));
    lines.add("tags:\n- prunepeft");
    TreeSet<String> kinds = new TreeSet<>();
    adapter.parts().forEach(part -> kinds.add(kind(part)));
    kinds.forEach(kind -> lines.add("- " + kind));
    TreeSet<String> metrics = new TreeSet<>();
    metrics().forEach((metric, value) -> metrics.addAll(hubNames(metric)));
    if (!metrics.isEmpty()) {
      lines.add("metrics:");
      metrics.forEach(metric -> lines.add("- " + metric));
    }
    return lines.toString();
  }

  private static String relation(Library library) {
    return library == Library.TRANSFORMERS || library == Library.ONNX ? "finetune" : "adapter";
  }

  private static String kind(AdapterPart part) {
    return part instanceof AdapterPart.LowRank ? "lora" : "adapter";
  }

  /** By the names of Hugging Face's {@code evaluate}. */
  private static List<String> hubNames(Metric metric) {
    return switch (metric) {
      case ACCURACY -> List.of("accuracy");
      case F1, MACRO_F1 -> List.of("f1");
      case ACCURACY_AND_F1 -> List.of("accuracy", "f1");
      case PRECISION -> List.of("precision");
      case RECALL -> List.of("recall");
      case ROC_AUC -> List.of("roc_auc");
      case MATTHEWS_CORRELATION -> List.of("matthews_correlation");
      case PEARSON -> List.of("pearsonr");
      case SPEARMAN -> List.of("spearmanr");
      case PEARSON_AND_SPEARMAN -> List.of("pearsonr", "spearmanr");
      case LOG_LIKELIHOOD -> List.of("perplexity");
      case ACCURACY_NORM -> List.of("accuracy");
      case EXACT_MATCH -> List.of("exact_match");
    };
  }

  /** What was measured on the test part; nothing of a run that was imported. */
  private Map<Metric, Double> metrics() {
    Map<Metric, Double> metrics = new EnumMap<>(Metric.class);
    for (Metric metric : Metric.values()) {
      if (result.get("test") instanceof Map<?, ?> test
          && test.get(metric.key()) instanceof Number value) {
        metrics.put(metric, value.doubleValue());
      }
    }
    return metrics;
  }

  private String text() throws JsonProcessingException {
    StringBuilder text = new StringBuilder();
    text.append("# %s on %s\n\n".formatted(base(), setup.task()));
    text.append(
        String.format(
            Locale.ROOT,
            "Trained with PrunePEFT for Java on the data `%s`, texts of at most %d tokens: %s.\n\n",
            setup.task(),
            setup.training().maxLength(),
            modules()));
    Map<Metric, Double> metrics = metrics();
    if (!metrics.isEmpty()) {
      List<List<String>> rows = new ArrayList<>();
      metrics.forEach((metric, value) -> rows.add(List.of(metric.label(), metric.format(value))));
      text.append(Markdown.table(List.of("test", ""), rows, i -> i == 1)).append('\n');
    }
    text.append(
        adapter.labels().isEmpty()
            ? adapter.hasHead() ? "It predicts a number.\n\n" : ""
            : "Classes, in the order of the outputs: `%s`\n\n"
                .formatted(JSON.writeValueAsString(adapter.labels())));
    if (setup.precision() != Precision.FLOAT32) {
      text.append(
          "Trained in %s: in float32 probabilities differ by up to 0.03.\n\n"
              .formatted(setup.precision()));
    }
    if (setup.quantization().isForced()) {
      text.append(
          "Trained with the frozen weights of the layers in %s: results differ with another quantization.\n\n"
              .formatted(setup.quantization()));
    }
    return text.toString();
  }

  private String modules() {
    if (adapter.parts().isEmpty()) {
      return full ? "all weights" : "the head alone";
    }
    String parameters = "";
    if (result.get("trainable_parameters") instanceof Number trained) {
      parameters = String.format(Locale.ROOT, ", %,d trainable parameters", trained.longValue());
      if (result.get("supernet_parameters") instanceof Number all
          && all.longValue() > trained.longValue()) {
        parameters += String.format(Locale.ROOT, " of the supernet's %,d", all.longValue());
      }
    }
    return String.format(
        Locale.ROOT,
        "%d LoRA updates and adapters%s%s",
        adapter.parts().size(),
        parameters,
        adapter.hasHead() ? ", and the head" : "");
  }

  private static String template(String name) throws IOException {
    try (InputStream stream = ModelCard.class.getResourceAsStream("card-" + name + ".md")) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
