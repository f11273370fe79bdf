package org.prunepeft.kernels;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/**
 * Values that are made once for a key and kept, the one that was not asked for the longest being
 * closed where there are too many. Not for two threads at once.
 */
final class BoundedCache<K, V extends AutoCloseable> implements AutoCloseable {
  private final Map<K, V> values = new LinkedHashMap<>(16, 0.75f, true);
  private final int most;

  /**
   * @param most how many are kept, 1 or more
   */
  public BoundedCache(int most) {
    if (most < 1) {
      throw new IllegalArgumentException("most must be at least 1, got " + most);
    }
    this.most = most;
  }

  /**
   * The value of a key; valid until as many other keys have been asked for.
   *
   * @param make called if there is none; what it throws is thrown, and nothing is kept
   */
  public V get(K key, Function<? super K, ? extends V> make) {
    V value = values.get(key);
    if (value == null) {
      value = make.apply(key);
      if (values.size() == most) {
        K oldest = values.keySet().iterator().next();
        close(values.remove(oldest));
      }
      values.put(key, value);
    }
    return value;
  }

  /** How many are kept now. */
  public int size() {
    return values.size();
  }

  @Override
  public void close() {
    values.values().forEach(BoundedCache::close);
    values.clear();
  }

  private static void close(AutoCloseable value) {
    try {
      value.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("closing " + value + " failed", e);
    }
  }
}
