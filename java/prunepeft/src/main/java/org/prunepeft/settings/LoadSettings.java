package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Threads;
import org.prunepeft.train.TooLong;

/**
 * How a run is loaded back; what is null is as the run has it.
 *
 * @param threads of all native pools of the process, 1 to 1,024. Results of another count than the
 *     run's may differ in their last bits
 * @param device where it is computed: cpu, cuda, cuda:N or auto
 * @param model the base model's name or directory, where it has moved
 * @param tooLong what becomes of a language model's texts that are longer than the run's maximum
 *     length
 */
@RecordBuilder
public record LoadSettings(Integer threads, String device, String model, TooLong tooLong)
    implements LoadSettingsBuilder.With {
  /** All as the run has it. */
  public static final LoadSettings DEFAULT = new LoadSettings(null, null, null, null);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if threads are out of range, or the device is none
   */
  public LoadSettings {
    if (threads != null) {
      Threads.require(threads);
    }
    if (device != null) {
      ComputeDevice.requireName(device);
    }
  }
}
