package org.prunepeft.peft.supernet;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.LayerAdapter;
import org.prunepeft.model.LayerNorm;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.PeftModule;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.peer.GateTraining;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Tape;

/**
 * The modules that sit in an encoder: the supernet, or what pruning left of it. Owns their weights
 * and gradients, one flat buffer a kind of module. Not for two threads at once.
 */
public final class PeftModules implements Insertions, AutoCloseable {
  private final EncoderConfig encoder;
  private final ComputeDevice device;
  private final List<Candidate> candidates;
  private final Map<String, FlatParameters> groups;
  private final Map<String, List<ModuleType.Parameter>> parameters;
  private final Map<Integer, Map<String, PeftModule>> layers;

  /** By the modules' names. */
  private final Map<String, List<Tensor>> weights;

  /** Those that compute, by layer: all, or the subset of {@link #activate}. */
  private Map<Integer, Map<String, PeftModule>> active;

  /** One of each kind. */
  private final Map<String, ModuleType> types;

  private ForwardPass pass;

  /** Null: modules act as they are. */
  private ModuleGates gates;

  /** What is switched on and off; null: whole modules. */
  private Slices slices;

  /**
   * Places modules, all of their weights zero until {@link #initialise}.
   *
   * @param candidates which modules of the configuration's space there are; may be empty
   * @param device where their weights lie: the encoder's
   */
  public PeftModules(
      PeftConfig config, EncoderConfig encoder, List<Candidate> candidates, ComputeDevice device) {
    this.encoder = encoder;
    this.device = device;
    this.candidates = List.copyOf(candidates);
    groups = new LinkedHashMap<>();
    parameters = new LinkedHashMap<>();
    layers = new LinkedHashMap<>();
    weights = new LinkedHashMap<>();
    types = new LinkedHashMap<>();
    active = layers;
    config.types().forEach(type -> types.putIfAbsent(type.kind(), type));
    for (String kind : config.kinds()) {
      Map<String, long[]> shapes = new LinkedHashMap<>();
      for (Candidate candidate : candidates) {
        if (candidate.type().equals(kind)) {
          List<ModuleType.Parameter> own =
              config.typeOf(candidate).parameters(encoder, candidate.layer());
          parameters.put(candidate.name(), own);
          own.forEach(parameter -> shapes.put(parameter.name(), parameter.shape()));
        }
      }
      if (!shapes.isEmpty()) {
        groups.put(kind, new FlatParameters(device, shapes));
      }
    }
    for (Candidate candidate : candidates) {
      FlatParameters group = groups.get(candidate.type());
      List<Tensor> tensors =
          parameters.get(candidate.name()).stream()
              .map(parameter -> group.get(parameter.name()))
              .toList();
      weights.put(candidate.name(), tensors);
      layers
          .computeIfAbsent(candidate.layer(), layer -> new LinkedHashMap<>())
          .put(
              candidate.name(),
              config.typeOf(candidate).create(encoder, candidate.layer(), tensors));
    }
  }

  /** On the CPU; see the other constructor. */
  public PeftModules(PeftConfig config, EncoderConfig encoder, List<Candidate> candidates) {
    this(config, encoder, candidates, ComputeDevice.CPU);
  }

  private PeftModules(PeftModules of) {
    encoder = of.encoder;
    device = of.device;
    candidates = of.candidates;
    groups = of.groups;
    parameters = of.parameters;
    layers = of.layers;
    weights = of.weights;
    types = of.types;
    active = layers;
  }

  /**
   * The same modules for another thread: a pass of their own through the same weights, which nobody
   * may change meanwhile. Good until these are closed, and not to be closed itself.
   */
  public PeftModules forAnotherThread() {
    return new PeftModules(this);
  }

  /** The modules that there are. */
  public List<Candidate> candidates() {
    return candidates;
  }

  /** Weights and gradients by kind of module; a kind without modules is absent. */
  public Map<String, FlatParameters> groups() {
    return groups;
  }

  /** The names of a module's tensors. */
  public List<String> parameterNames(Candidate candidate) {
    return parameters.get(candidate.name()).stream().map(ModuleType.Parameter::name).toList();
  }

  /**
   * What the modules do in a training beside their forward passes.
   *
   * @param steps of the training
   * @param judged whether modules are judged as wholes meanwhile, so that they keep their size
   * @return one for each kind of module that does something; to be closed
   */
  public List<TrainingHook> trainingHooks(int steps, boolean judged) {
    List<TrainingHook> hooks = new ArrayList<>();
    groups.forEach(
        (kind, parameters) -> {
          TrainingHook hook = types.get(kind).trainingHook(parameters, steps, judged);
          if (hook != null) {
            hooks.add(hook);
          }
        });
    if (gates != null) {
      hooks.add(gates.hook());
    }
    return hooks;
  }

  /**
   * Puts a gate on each module, from now on; the trainings that follow train the gates too.
   *
   * @param training of gates for just these modules
   */
  public void gate(GateTraining training) {
    gates = new ModuleGates(training, device);
    layers.values().forEach(modules -> modules.replaceAll(gates::gated));
  }

  /** {@return the gradients of all that is trained, in flat tensors} */
  public List<Tensor> gradients() {
    List<Tensor> gradients =
        new ArrayList<>(groups.values().stream().map(FlatParameters::gradients).toList());
    if (gates != null) {
      gradients.add(gates.gradients());
    }
    return gradients;
  }

  /** Trainable parameters of all modules. */
  public long count() {
    return candidates.stream().mapToLong(Candidate::parameters).sum();
  }

  /**
   * Draws fresh weights.
   *
   * @param stage names the draw: other stages of the same run get other weights
   */
  public void initialise(long seed, String stage) {
    initialise(seed, stage, false);
  }

  /**
   * Draws fresh weights.
   *
   * @param withoutEffect whether each module begins without effect on the encoder, where its type
   *     says how
   */
  public void initialise(long seed, String stage, boolean withoutEffect) {
    Map<String, float[]> drawn = new ConcurrentHashMap<>();
    parameters.values().parallelStream()
        .flatMap(List::stream)
        .forEach(
            parameter ->
                drawn.put(
                    parameter.name(),
                    InitialWeights.draw(
                        parameter.count(),
                        seed,
                        stage,
                        parameter.name(),
                        withoutEffect && parameter.output() ? 0 : parameter.deviation())));
    for (FlatParameters group : groups.values()) {
      group.names().forEach(name -> InitialWeights.fill(group.get(name), drawn.get(name)));
    }
  }

  /**
   * Takes the weights that modules of the same names have elsewhere.
   *
   * @param from modules of the same settings, these among them
   */
  public void copyWeights(PeftModules from) {
    try (NoGradGuard guard = new NoGradGuard()) {
      groups.forEach(
          (type, group) -> {
            FlatParameters source = from.groups.get(type);
            group.names().forEach(name -> group.get(name).copy_(source.get(name)));
          });
    }
  }

  /**
   * Lets {@link #activate} take slices from now on. Modules are ordered so that the first slices of
   * each do the most; together they compute the same as before.
   *
   * @param slices of just these modules
   */
  public void cut(Slices slices) {
    this.slices = slices;
    slices.order(weights);
  }

  /**
   * Takes the weights that some slices of larger modules have.
   *
   * @param from modules that were cut, with these names among theirs
   * @param chosen their slices; these modules have just their size
   */
  public void copySlices(PeftModules from, Collection<Candidate> chosen) {
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      from.slices
          .weights(chosen, from.weights)
          .forEach(
              (name, tensors) -> {
                List<Tensor> own = weights.get(name);
                for (int i = 0; i < own.size(); i++) {
                  own.get(i).copy_(tensors.get(i));
                }
              });
    }
  }

  /**
   * Switches modules, or slices once they are {@link #cut}, on and off: the next forward passes
   * compute as if the others were not there. Weights stay. Slices that are switched on are good in
   * the caller's PointerScope.
   *
   * @param subset modules of these, in any order; null: all of them
   * @throws IllegalArgumentException if one is not among these
   */
  public void activate(Collection<Candidate> subset) {
    if (subset == null) {
      active = layers;
      return;
    }
    if (slices != null) {
      active = slices.modules(subset, layers, weights);
      return;
    }
    Set<String> names = subset.stream().map(Candidate::name).collect(Collectors.toSet());
    Map<Integer, Map<String, PeftModule>> chosen = new LinkedHashMap<>();
    layers.forEach(
        (layer, modules) ->
            modules.forEach(
                (name, module) -> {
                  if (names.remove(name)) {
                    chosen.computeIfAbsent(layer, key -> new LinkedHashMap<>()).put(name, module);
                  }
                }));
    if (!names.isEmpty()) {
      throw new IllegalArgumentException(
          "only modules of the supernet can be switched on, got " + names);
    }
    active = chosen;
  }

  /** Says what the next forward passes are for. */
  public void begin(ForwardPass next) {
    pass = next;
    pass.tape().serve(groups.values());
  }

  @Override
  public Tape tape() {
    return pass.tape();
  }

  @Override
  public List<Tensor> weights(int layer) {
    List<Tensor> all = new ArrayList<>();
    active
        .getOrDefault(layer, Map.of())
        .keySet()
        .forEach(module -> all.addAll(weights.get(module)));
    if (gates != null && !all.isEmpty()) {
      all.add(gates.values());
    }
    return all;
  }

  @Override
  public OnLinear on(FrozenLinear linear, boolean tokens) {
    ForwardPass own = tokens ? pass : overPositions();
    List<LoraModule<Tensor>> modules = new ArrayList<>();
    List<String> owners = new ArrayList<>();
    for (FrozenLinear.Part part : linear.parts()) {
      for (Map.Entry<String, PeftModule> entry :
          active.getOrDefault(part.layer(), Map.of()).entrySet()) {
        LoraModule<Tensor> module = entry.getValue().lora(own, part);
        if (module != null) {
          modules.add(module);
          owners.add(entry.getKey());
        }
      }
    }
    return new OnLinear(
        modules,
        own.measurement() == null ? null : (output, i) -> own.measure(owners.get(i), output));
  }

  /** The same pass for rows that are no tokens, which alone are measured. */
  private ForwardPass overPositions() {
    ForwardPass.Masks masks = pass.masks();
    if (masks != null) {
      long seed = Seeds.derive(masks.seed(), "positions");
      masks = new ForwardPass.Masks(seed, masks.step(), masks.microBatch(), masks.counter());
    }
    return new ForwardPass(pass.tape(), masks, null);
  }

  @Override
  public List<LayerAdapter> adapters(int layer) {
    if (!pass.predicts()) {
      return null;
    }
    List<LayerAdapter> all = new ArrayList<>();
    for (PeftModule module : active.getOrDefault(layer, Map.of()).values()) {
      List<LayerAdapter> own = module.adapters();
      if (own == null) {
        return null;
      }
      all.addAll(own);
    }
    return all;
  }

  /** Multiplies by the modules' gains; y itself if there are none. */
  @Override
  public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
    List<Tensor> gains = new ArrayList<>();
    linear.parts().forEach(part -> gains.add(gain(linear, part)));
    if (gains.stream().allMatch(Objects::isNull)) {
      return y;
    }
    TensorVector excess = new TensorVector();
    for (int i = 0; i < gains.size(); i++) {
      Tensor gain = gains.get(i);
      excess.push_back(
          gain == null ? y.new_zeros(linear.parts().get(i).rows()) : gain.sub(new Scalar(1)));
    }
    Tensor product = linear.bias() == null ? y : y.sub(linear.bias());
    // A gain of exactly 1 changes nothing.
    return y.add(product.mul(torch.cat(excess, 0))).to(y.scalar_type().intern());
  }

  /** That of the first module that has one; null: none has. */
  private Tensor gain(FrozenLinear linear, FrozenLinear.Part part) {
    for (PeftModule module : active.getOrDefault(part.layer(), Map.of()).values()) {
      Tensor gain = module.gain(linear, part);
      if (gain != null) {
        return gain;
      }
    }
    return null;
  }

  @Override
  public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
    Tensor out = h;
    for (PeftModule module : active.getOrDefault(layer, Map.of()).values()) {
      out = module.afterBlock(pass, block, out, input, norm);
    }
    return out;
  }

  /** Gives all weights to a checkpoint, or takes them from one. */
  public void exchange(StateExchange state) {
    groups.forEach((type, group) -> state.tensor(type, group.values()));
  }

  @Override
  public void close() {
    groups.values().forEach(FlatParameters::close);
    if (gates != null) {
      gates.close();
    }
  }
}
