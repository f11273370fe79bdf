package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.search.Candidate;

/** What can be exported of all modules of a supernet can be of what a search keeps of them. */
class PrunedExportTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final EncoderConfig BERT = Parts.encoder(Architecture.BERT);

  @TempDir Path temporary;

  private record Export(AdapterFormat format, EncoderConfig encoder, String name, LoraConfig lora) {
    @Override
    public String toString() {
      return "%s, %s, %s".formatted(format.name(), encoder.architecture(), name);
    }
  }

  /** On query and value, as VeRA; with a dropout that VeRA has not. */
  static Stream<Export> exports() {
    LoraConfig lora =
        LoraConfig.of(3, 5, 0.1, List.of(Projection.QUERY.target(), Projection.VALUE.target()));
    Map<String, LoraConfig> kinds =
        Map.of(
            "LoRA", lora,
            "rsLoRA", lora.with().rsLora(true).build(),
            "AdaLoRA", lora.withAdaLora(new AdaLoraConfig(4, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9)));
    EncoderConfig phi3 = DecoderParts.config(Architecture.PHI3);
    return new TreeMap<>(kinds)
        .entrySet().stream()
            .flatMap(
                kind ->
                    Stream.of(
                        new Export(new PeftFormat(), BERT, kind.getKey(), kind.getValue()),
                        new Export(new AdapterHubFormat(), BERT, kind.getKey(), kind.getValue()),
                        new Export(new PeftFormat(), phi3, kind.getKey(), kind.getValue()),
                        new Export(new GgufFormat(), phi3, kind.getKey(), kind.getValue())));
  }

  @ParameterizedTest
  @MethodSource("exports")
  void subsetsOfLoraAndVeraAreWritten(Export export) throws IOException {
    Map<String, ?> vera =
        Map.of("rank", 5, "targets", List.of(Projection.QUERY.target(), Projection.VALUE.target()));
    PeftConfig peft =
        PeftConfig.of(export.lora, null, ModuleTypes.of(List.of("vera"), Map.of("vera", vera)));
    List<List<AdapterPart>> modules = new ArrayList<>();
    for (Candidate candidate : peft.space(export.encoder).candidates()) {
      if (candidate.layer() < 2) {
        ModuleType type = peft.typeOf(candidate);
        List<Tensor> trained =
            type.parameters(export.encoder, candidate.layer()).stream()
                .map(parameter -> Parts.random(parameter.shape()))
                .toList();
        modules.add(type.parts(export.encoder, candidate.layer(), trained, path -> null));
      }
    }
    assertEquals(4, modules.size()); // LoRA and VeRA of two layers
    export.format.require(adapter(export, modules, List.of(0, 1, 2, 3)));
    for (List<Integer> kept :
        List.of(List.of(0, 3), List.of(0, 1, 2), List.of(0, 1, 3), List.of(0), List.of(3))) {
      TrainedAdapter adapter = adapter(export, modules, kept);
      export.format.require(adapter);
      assertComputesTheSame(
          kept.stream().flatMap(one -> modules.get(one).stream()).toList(),
          read(export.format, adapter, "of" + kept));
    }
  }

  private static TrainedAdapter adapter(
      Export export, List<List<AdapterPart>> modules, List<Integer> kept) {
    List<AdapterPart> parts = kept.stream().flatMap(one -> modules.get(one).stream()).toList();
    return export.encoder.architecture().isDecoder()
        ? DecoderParts.adapter(export.encoder, parts)
        : Parts.adapter(export.encoder, parts);
  }

  private TrainedAdapter read(AdapterFormat format, TrainedAdapter adapter, String name)
      throws IOException {
    Path directory = temporary.resolve(name);
    RunDirectory target = RunDirectory.create(directory);
    format.write(adapter, target);
    target.complete();
    Path config = directory.resolve("adapter_config.json");
    return format.read(
        directory,
        Files.exists(config)
            ? JSON.readValue(config.toFile(), new TypeReference<Map<String, Object>>() {})
            : Map.of(),
        adapter.encoder(),
        List.of("no", "yes"));
  }

  private static void assertComputesTheSame(List<AdapterPart> expected, TrainedAdapter actual) {
    Map<String, double[]> sums = sums(expected, DecoderParts::delta);
    Map<String, double[]> magnitudes = sums(expected, DecoderParts::magnitudes);
    Map<String, double[]> read = sums(actual.parts(), DecoderParts::delta);
    assertEquals(sums.keySet(), read.keySet());
    sums.forEach(
        (path, sum) ->
            DecoderParts.assertSameUpdate(sum, magnitudes.get(path), read.get(path), path));
  }

  /** Of each projection all that is added to its weight. */
  private static Map<String, double[]> sums(
      List<AdapterPart> parts, Function<LowRank, double[]> of) {
    Map<String, double[]> sums = new TreeMap<>();
    for (AdapterPart part : parts) {
      LowRank update = (LowRank) part;
      sums.merge(update.path(), of.apply(update), DecoderParts::sum);
    }
    return sums;
  }

  @Test
  void doraOfSeveralScalesHasThemInB() throws IOException {
    LowRank query =
        AdapterPartLowRankBuilder.builder(Parts.lora(BERT, Projection.QUERY))
            .magnitude(Parts.random(24))
            .dropout(0.1)
            .build();
    LowRank value =
        AdapterPartLowRankBuilder.builder(Parts.lora(BERT, Projection.VALUE))
            .magnitude(Parts.random(24))
            .rsLora(true)
            .build();
    TrainedAdapter read =
        read(new PeftFormat(), Parts.adapter(BERT, List.of(query, value)), "dora");
    assertComputesTheSame(List.of(query, value), read);
    for (LowRank update : read.lowRank()) {
      LowRank before = update.path().equals(query.path()) ? query : value;
      assertArrayEquals(before.magnitude().values(), update.magnitude().values());
      assertEquals(0, update.dropout());
    }
  }
}
