package org.prunepeft.formats;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** An ONNX model in ONNX Runtime, on two threads. */
final class OnnxSession implements AutoCloseable {
  private static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

  private final OrtSession session;
  private final Map<String, OnnxTensor> inputs = new HashMap<>();

  private OnnxSession(OrtSession session) {
    this.session = session;
  }

  static OnnxSession open(Path file) {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(2);
      return new OnnxSession(ENVIRONMENT.createSession(file.toString(), options));
    } catch (OrtException e) {
      throw new AssertionError(file + " does not load", e);
    }
  }

  /** Sets an input, if the model has it. */
  OnnxSession input(String name, Object values) {
    try {
      if (session.getInputNames().contains(name)) {
        inputs.put(name, OnnxTensor.createTensor(ENVIRONMENT, values));
      }
      return this;
    } catch (OrtException e) {
      throw new AssertionError(name, e);
    }
  }

  /** Computes an output, of float32. */
  @SuppressWarnings("unchecked")
  <T> T run(String output) {
    try (OrtSession.Result result = session.run(inputs)) {
      return (T) result.get(output).orElseThrow().getValue();
    } catch (OrtException e) {
      throw new AssertionError("the model does not run", e);
    } finally {
      inputs.values().forEach(OnnxTensor::close);
      inputs.clear();
    }
  }

  @Override
  public void close() {
    try {
      session.close();
    } catch (OrtException e) {
      throw new AssertionError(e);
    }
  }
}
