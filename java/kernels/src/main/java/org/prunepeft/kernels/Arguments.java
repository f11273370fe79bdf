package org.prunepeft.kernels;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.AdapterGradientsStruct;
import org.prunepeft.kernels.binding.AdapterStruct;
import org.prunepeft.kernels.binding.AttentionStruct;
import org.prunepeft.kernels.binding.ContextStruct;
import org.prunepeft.kernels.binding.CrossEntropyStruct;
import org.prunepeft.kernels.binding.DropoutStruct;
import org.prunepeft.kernels.binding.EncoderLayerStruct;
import org.prunepeft.kernels.binding.LayerAdapterStruct;
import org.prunepeft.kernels.binding.LayerBlockStruct;
import org.prunepeft.kernels.binding.LayerLinearStruct;
import org.prunepeft.kernels.binding.LayerNormStruct;
import org.prunepeft.kernels.binding.LibPrunePeft;
import org.prunepeft.kernels.binding.LoraModuleStruct;
import org.prunepeft.kernels.binding.MatrixStruct;
import org.prunepeft.kernels.binding.RmsNormStruct;
import org.prunepeft.kernels.binding.RotaryStruct;

/**
 * The structs of a context's calls. They are allocated once and written again by each call, through
 * a buffer over their memory: at small shapes, allocations and a native call for each member took
 * longer than the kernel. What a call was given is kept until the next one, so that memory which
 * JavaCPP frees by the collector outlives the call.
 */
final class Arguments implements AutoCloseable {
  private static final int MATRICES = 4;

  static {
    // Loader knows the offsets from then on.
    NativeLibraries.load(LibPrunePeft.class);
  }

  private static final int DATA = Loader.offsetof(MatrixStruct.class, "data");
  private static final int ROWS = Loader.offsetof(MatrixStruct.class, "rows");
  private static final int COLS = Loader.offsetof(MatrixStruct.class, "cols");
  private static final int LD = Loader.offsetof(MatrixStruct.class, "ld");
  private static final int DTYPE = Loader.offsetof(MatrixStruct.class, "dtype");

  /** The members of a module. */
  private static final class Of {
    static final int SIZE = Loader.sizeof(LoraModuleStruct.class);
    static final int A = offset("a");
    static final int B = offset("b");
    static final int FIRST_COLUMN = offset("first_column");
    static final int FIRST_ROW = offset("first_row");
    static final int ROWS = offset("rows");
    static final int SCALE = offset("scale");
    static final int MASK = offset("mask");
    static final int DROPOUT = offset("dropout");
    static final int S = offset("s");
    static final int DS = offset("ds");
    static final int DA = offset("da");
    static final int DB = offset("db");
    static final int KEPT_MASK = offset("kept_mask");

    private static int offset(String member) {
      return Loader.offsetof(LoraModuleStruct.class, member);
    }
  }

  /** The members of an encoder's layer and of what it has. */
  private static final class OfLayer {
    static final int QKV = offset("qkv");
    static final int ATTENTION_BLOCK = offset("attention_block");
    static final int INTERMEDIATE = offset("intermediate");
    static final int ACTIVATION = offset("activation");
    static final int FEED_FORWARD_BLOCK = offset("feed_forward_block");
    static final int PLAN = Loader.offsetof(LayerLinearStruct.class, "linear");
    static final int MODULES = Loader.offsetof(LayerLinearStruct.class, "modules");
    static final int MODULE_COUNT = Loader.offsetof(LayerLinearStruct.class, "module_count");
    static final int OUTPUT = Loader.offsetof(LayerBlockStruct.class, "linear");
    static final int ADAPTERS = Loader.offsetof(LayerBlockStruct.class, "adapters");
    static final int ADAPTER_COUNT = Loader.offsetof(LayerBlockStruct.class, "adapter_count");
    static final int NORM = Loader.offsetof(LayerBlockStruct.class, "norm");
    static final int WEIGHT = Loader.offsetof(LayerNormStruct.class, "weight");
    static final int BIAS = Loader.offsetof(LayerNormStruct.class, "bias");
    static final int EPSILON = Loader.offsetof(LayerNormStruct.class, "epsilon");
    static final int ADAPTER_SIZE = Loader.sizeof(LayerAdapterStruct.class);
    static final int ADAPTER_INPUT = Loader.offsetof(LayerAdapterStruct.class, "input");

    private static int offset(String member) {
      return Loader.offsetof(EncoderLayerStruct.class, member);
    }
  }

  private final ContextStruct context = kept(new ContextStruct());
  private final MatrixStruct matrices = kept(new MatrixStruct(MATRICES));
  private final MatrixStruct[] matrix = new MatrixStruct[MATRICES];
  private final ByteBuffer matrixMemory = matrices.asByteBuffer();
  private final AdapterStruct adapter = kept(new AdapterStruct());
  private final ByteBuffer adapterMemory = adapter.asByteBuffer();
  private final AdapterGradientsStruct gradients = kept(new AdapterGradientsStruct());
  private final ByteBuffer gradientsMemory = gradients.asByteBuffer();
  private final AttentionStruct attention = kept(new AttentionStruct());
  private final RmsNormStruct norm = kept(new RmsNormStruct());
  private final ByteBuffer normMemory = norm.asByteBuffer();
  private final RotaryStruct rotary = kept(new RotaryStruct());
  private final ByteBuffer rotaryMemory = rotary.asByteBuffer();
  private final CrossEntropyStruct crossEntropy = kept(new CrossEntropyStruct());

  private final EncoderLayerStruct layer = kept(new EncoderLayerStruct());
  private final AttentionStruct layerAttention = layer.attention();
  private final ByteBuffer layerMemory = layer.asByteBuffer();
  private LayerAdapterStruct layerAdapters;
  private ByteBuffer layerAdapterMemory;

  private LoraModuleStruct modules;
  private ByteBuffer moduleMemory;
  private DropoutStruct dropouts;

  private final Object[] reachable = new Object[MATRICES + 3];

  Arguments() {
    for (int i = 0; i < MATRICES; i++) {
      matrix[i] = matrices.getPointer(i);
    }
  }

  /** No PointerScope of a caller may free it. */
  private static <P extends Pointer> P kept(P struct) {
    struct.retainReference();
    return struct;
  }

  /** Forgets what the call before was given. */
  Arguments clear() {
    Arrays.fill(reachable, null);
    return this;
  }

  ContextStruct context() {
    return context;
  }

  /**
   * A matrix as an argument.
   *
   * @param place which of the call's, from 0
   * @param value null: the argument is null
   */
  MatrixStruct matrix(int place, Matrix value) {
    reachable[place] = value;
    if (value == null) {
      return null;
    }
    write(matrixMemory, place * matrices.sizeof(), value);
    return matrix[place];
  }

  AdapterStruct adapter(Adapter.Weights weights) {
    reachable[MATRICES] = weights;
    write(adapterMemory, 0, weights);
    return adapter;
  }

  private void write(ByteBuffer memory, int at, Adapter.Weights weights) {
    int size = matrices.sizeof();
    write(memory, at, weights.down());
    write(memory, at + size, weights.downBias());
    write(memory, at + 2 * size, weights.up());
    write(memory, at + 3 * size, weights.upBias());
    memory.putInt(at + 4 * size, weights.activation().ordinal());
  }

  /**
   * An encoder's layer.
   *
   * @param rows M
   */
  EncoderLayerStruct layer(EncoderLayer value, Attention attention, long rows) {
    reachable[MATRICES + 1] = attention;
    reachable[MATRICES + 2] = value;
    attention.write(layerAttention);
    List<EncoderLayer.Projection> linears =
        List.of(
            value.qkv(),
            value.attentionBlock().output(),
            value.intermediate(),
            value.feedForwardBlock().output());
    int[] places = {
      OfLayer.QKV,
      OfLayer.ATTENTION_BLOCK + OfLayer.OUTPUT,
      OfLayer.INTERMEDIATE,
      OfLayer.FEED_FORWARD_BLOCK + OfLayer.OUTPUT
    };
    List<LoraPass> passes = new ArrayList<>();
    for (EncoderLayer.Projection linear : linears) {
      linear.modules().forEach(module -> passes.add(new LoraPass(module, null)));
    }
    long module = modules(passes, rows).address();
    for (int i = 0; i < places.length; i++) {
      int count = linears.get(i).modules().size();
      layerMemory.putLong(places[i] + OfLayer.PLAN, linears.get(i).linear().address());
      layerMemory.putLong(places[i] + OfLayer.MODULES, module);
      layerMemory.putInt(places[i] + OfLayer.MODULE_COUNT, count);
      module += (long) count * Of.SIZE;
    }
    layerMemory.putInt(OfLayer.ACTIVATION, value.activation().ordinal());
    int before = value.attentionBlock().adapters().size();
    makeRoomForAdapters(before + value.feedForwardBlock().adapters().size());
    write(OfLayer.ATTENTION_BLOCK, value.attentionBlock(), 0);
    write(OfLayer.FEED_FORWARD_BLOCK, value.feedForwardBlock(), before);
    return layer;
  }

  private void makeRoomForAdapters(int count) {
    if (layerAdapters == null || layerAdapters.capacity() < count) {
      release(layerAdapters);
      layerAdapters = kept(new LayerAdapterStruct(Math.max(4, count)));
      layerAdapterMemory = layerAdapters.asByteBuffer();
    }
  }

  /** A block of a layer, whose adapters go to place number `first` and after it. */
  private void write(int at, EncoderLayer.Block block, int first) {
    List<EncoderLayer.BlockAdapter> adapters = block.adapters();
    for (int i = 0; i < adapters.size(); i++) {
      int place = (first + i) * OfLayer.ADAPTER_SIZE;
      write(layerAdapterMemory, place, adapters.get(i).weights());
      layerAdapterMemory.putInt(place + OfLayer.ADAPTER_INPUT, adapters.get(i).input().ordinal());
    }
    layerMemory.putLong(
        at + OfLayer.ADAPTERS, layerAdapters.address() + (long) first * OfLayer.ADAPTER_SIZE);
    layerMemory.putInt(at + OfLayer.ADAPTER_COUNT, adapters.size());
    int norm = at + OfLayer.NORM;
    write(layerMemory, norm + OfLayer.WEIGHT, block.norm().weight());
    write(layerMemory, norm + OfLayer.BIAS, block.norm().bias());
    layerMemory.putFloat(norm + OfLayer.EPSILON, (float) block.norm().epsilon());
  }

  AdapterGradientsStruct gradients(Adapter.Gradients values) {
    reachable[MATRICES + 1] = values;
    int size = matrices.sizeof();
    write(gradientsMemory, 0, values.down());
    write(gradientsMemory, size, values.downBias());
    write(gradientsMemory, 2 * size, values.up());
    write(gradientsMemory, 3 * size, values.upBias());
    return gradients;
  }

  AttentionStruct attention() {
    return attention;
  }

  RmsNormStruct norm(RmsNorm value) {
    reachable[MATRICES] = value;
    write(normMemory, Loader.offsetof(RmsNormStruct.class, "weight"), value.weight());
    return norm.epsilon(value.epsilon()).adds_one(value.addsOne() ? 1 : 0);
  }

  RotaryStruct rotary(Rotary value) {
    reachable[MATRICES] = value;
    write(rotaryMemory, Loader.offsetof(RotaryStruct.class, "cosines"), value.table().cosines());
    write(rotaryMemory, Loader.offsetof(RotaryStruct.class, "sines"), value.table().sines());
    return rotary
        .sequences(value.sequences())
        .tokens(value.tokens())
        .heads(value.heads())
        .head_size(value.headSize())
        .past(value.positions().past())
        .starts(value.positions().starts());
  }

  CrossEntropyStruct crossEntropy(LongPointer labels) {
    reachable[MATRICES] = labels;
    return crossEntropy.labels(labels);
  }

  /** Throws if a buffer that knows its length is too short; null: there is none. */
  static void requireLength(String name, Pointer buffer, long needed, String unit) {
    if (buffer != null && buffer.limit() > 0 && buffer.limit() - buffer.position() < needed) {
      throw new IllegalArgumentException(
          "%s must have %d %s, got %d"
              .formatted(name, needed, unit, buffer.limit() - buffer.position()));
    }
  }

  /**
   * The modules of a call.
   *
   * @param rows M, of modules that serve all
   */
  LoraModuleStruct modules(List<LoraPass> passes, long rows) {
    reachable[MATRICES] = passes;
    int count = passes.size();
    if (modules == null || modules.capacity() < count) {
      release(modules, dropouts);
      modules = kept(new LoraModuleStruct(Math.max(8, count)));
      dropouts = kept(new DropoutStruct(modules.capacity()));
      moduleMemory = modules.asByteBuffer();
    }
    for (int i = 0; i < count; i++) {
      LoraPass pass = passes.get(i);
      LoraModule<Matrix> module = pass.module();
      int at = i * Of.SIZE;
      write(moduleMemory, at + Of.A, module.a());
      write(moduleMemory, at + Of.B, module.b());
      write(moduleMemory, at + Of.S, pass.s());
      write(moduleMemory, at + Of.DS, pass.ds());
      write(moduleMemory, at + Of.DA, pass.da());
      write(moduleMemory, at + Of.DB, pass.db());
      moduleMemory.putLong(at + Of.FIRST_COLUMN, module.firstColumn());
      moduleMemory.putLong(at + Of.FIRST_ROW, module.rows() == null ? 0 : module.rows().first());
      moduleMemory.putLong(at + Of.ROWS, module.rows() == null ? rows : module.rows().count());
      moduleMemory.putFloat(at + Of.SCALE, module.scale());
      moduleMemory.putInt(at + Of.MASK, module.dropout() == null ? 0 : module.dropout().mask());
      moduleMemory.putLong(at + Of.DROPOUT, dropout(i, module));
      moduleMemory.putLong(at + Of.KEPT_MASK, keptMask(pass, rows));
    }
    return modules;
  }

  /** The address of the memory for a module's mask; 0 if there is none. */
  private static long keptMask(LoraPass pass, long rows) {
    Pointer mask = pass.keptMask();
    if (mask == null) {
      return 0;
    }
    LoraModule<Matrix> module = pass.module();
    long bytes = (mask.limit() - mask.position()) * mask.sizeof();
    if (mask.limit() > 0 && module.a() != null) {
      long own = module.rows() == null ? rows : module.rows().count();
      long needed = Linear.keptMaskBytes(own, module.a().cols());
      if (bytes < needed) {
        throw new IllegalArgumentException(
            "keptMask must have %d bytes, got %d".formatted(needed, bytes));
      }
    }
    return mask.address() + mask.position() * mask.sizeof();
  }

  /** The address of a module's dropout; 0 if it drops nothing. */
  private long dropout(int i, LoraModule<Matrix> module) {
    if (!module.drops()) {
      return 0;
    }
    DropoutStruct struct = dropouts.position(i);
    module.dropout().write(struct);
    return dropouts.address() + (long) i * dropouts.sizeof();
  }

  private static void write(ByteBuffer memory, int at, Matrix value) {
    boolean given = value != null;
    if (given) {
      DeviceBuffer.requireOpen(value.data());
    }
    memory.putLong(at + DATA, given && value.data() != null ? value.data().address() : 0);
    memory.putLong(at + ROWS, given ? value.rows() : 0);
    memory.putLong(at + COLS, given ? value.cols() : 0);
    memory.putLong(at + LD, given ? value.ld() : 0);
    memory.putInt(at + DTYPE, given ? value.dtype().ordinal() : 0);
  }

  private static void release(Pointer... structs) {
    for (Pointer struct : structs) {
      if (struct != null) {
        struct.releaseReference();
      }
    }
  }

  @Override
  public void close() {
    clear();
    release(
        context,
        matrices,
        adapter,
        gradients,
        attention,
        norm,
        rotary,
        crossEntropy,
        layer,
        layerAdapters,
        modules,
        dropouts);
  }
}
