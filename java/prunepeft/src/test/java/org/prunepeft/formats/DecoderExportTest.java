package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Projection;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** What is read back of an export, in the weights of its model, computes what the modules do. */
class DecoderExportTest {
  @TempDir Path temporary;

  static Stream<Family> families() {
    return DecoderFamilies.all();
  }

  @ParameterizedTest
  @MethodSource("families")
  void hiddenStatesAreThoseOfTheModules(Family family) throws IOException {
    Torch.load();
    EncoderConfig encoder = family.config();
    List<String> targets = encoder.projections().stream().map(Projection::target).toList();
    PeftConfig config = PeftConfig.of(LoraConfig.of(3, 5, 0, targets), null);
    Random random = TestSeed.random();
    Map<String, Tensor> weights = family.tensors(random);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder decoder = family.decoder(weights);
        Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(
                config,
                encoder,
                config.space(encoder).candidates().stream()
                    .filter(module -> module.layer() != 1)
                    .toList())) {
      for (FlatParameters group : modules.groups().values()) {
        group.values().normal_(0, 0.2, RandomTensors.generator());
      }
      EncoderInput input = input();
      modules.begin(ForwardPass.evaluation(tape));
      float[] ours = Torch.toFloats(decoder.forward(input, modules));
      float[] frozen = Torch.toFloats(decoder.forward(input, Insertions.NONE));
      assertTrue(PeftFormatTest.distance(ours, frozen) > 1e-2, "the updates change nothing");
      TrainedAdapter adapter =
          DecoderParts.adapter(encoder, Parts.of(config, modules, encoder, path -> null));
      // What rounding may move is measured, by weights that are off as far as a sum may be.
      Map<String, Tensor> whole = merged(adapter, weights);
      double share = RandomCheckpoint.share(encoder, 9);
      double moved =
          Rounding.moved(
              ours,
              () -> {
                try (Encoder off =
                    family.decoder(RandomCheckpoint.perturbed(whole, share, random))) {
                  return Torch.toFloats(off.forward(input, Insertions.NONE));
                }
              });
      for (TrainedAdapter read :
          List.of(
              adapter,
              again(new PeftFormat(), adapter),
              again(new PeftFormat(), PortableAdapter.of(adapter)),
              again(new GgufFormat(), adapter))) {
        try (Encoder merged = family.decoder(merged(read, weights))) {
          float[] states = Torch.toFloats(merged.forward(input, Insertions.NONE));
          Rounding.assertNear(ours, states, 2 * moved, "hidden states");
        }
      }
    }
  }

  private TrainedAdapter again(AdapterFormat format, TrainedAdapter adapter) throws IOException {
    Path directory = temporary.resolve("export" + temporary.toFile().list().length);
    RunDirectory target = RunDirectory.create(directory);
    format.write(adapter, target);
    target.complete();
    Map<String, Object> config =
        format instanceof PeftFormat
            ? new ObjectMapper()
                .readValue(
                    directory.resolve(AdapterFormat.CONFIG).toFile(),
                    new TypeReference<Map<String, Object>>() {})
            : Map.of();
    return format.read(directory, config, adapter.encoder(), List.of());
  }

  private static Map<String, Tensor> merged(TrainedAdapter adapter, Map<String, Tensor> weights)
      throws IOException {
    Checkpoint merged = MergedDecoder.merged(adapter, new MapCheckpoint("memory", weights));
    Map<String, Tensor> tensors = new TreeMap<>();
    for (String name : merged.names()) {
      tensors.put(name, new Tensor(merged.shape(name), merged.floats(name)));
    }
    return tensors;
  }

  private static EncoderInput input() {
    Random random = TestSeed.random();
    long[] ids = random.longs(2 * 9, 0, DecoderFamilies.VOCABULARY).toArray();
    byte[] mask = new byte[2 * 9];
    Arrays.fill(mask, (byte) 1);
    return EncoderInput.of(ids, new long[2 * 9], mask, 2, 9);
  }
}
