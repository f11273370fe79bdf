package org.prunepeft.train.head;

/**
 * Minimises a smooth function by L-BFGS with a line search for the strong Wolfe conditions (Nocedal
 * &amp; Wright, Numerical Optimization, algorithms 7.4, 7.5, 3.5 and 3.6). Plain float64
 * arithmetic: the same function gives the same bits.
 */
final class Lbfgs {
  private static final int MEMORY = 10;
  private static final double SUFFICIENT_DECREASE = 1e-4;
  private static final double CURVATURE = 0.9;
  private static final int MOST_TRIALS = 30;

  /** A function with its gradient. */
  @FunctionalInterface
  interface Objective {
    /**
     * The value at a point.
     *
     * @param gradient is set to the gradient there
     */
    double at(double[] x, double[] gradient);
  }

  /**
   * Where a minimisation ended.
   *
   * @param gradient largest absolute element of the gradient there
   * @param evaluations of the objective
   */
  record Minimum(double[] x, double value, double gradient, int evaluations) {}

  private final Objective objective;
  private final double[][] steps = new double[MEMORY][];
  private final double[][] changes = new double[MEMORY][];
  private int kept;
  private int evaluations;

  private Lbfgs(Objective objective) {
    this.objective = objective;
  }

  /**
   * Goes downhill until no element of the gradient is above the tolerance, no step gets any lower,
   * or there were enough iterations.
   *
   * @param start stays as it is
   */
  static Minimum minimise(
      Objective objective, double[] start, double tolerance, int mostIterations) {
    return new Lbfgs(objective).run(start, tolerance, mostIterations);
  }

  /** A point on the line of a search. */
  private record LinePoint(
      double step, double[] x, double value, double[] gradient, double slope) {}

  private Minimum run(double[] start, double tolerance, int mostIterations) {
    LinePoint here = at(start, null, 0);
    for (int i = 0; i < mostIterations && largest(here.gradient) > tolerance; i++) {
      double[] direction = direction(here.gradient);
      if (!(dot(direction, here.gradient) < 0)) {
        kept = 0;
        direction = direction(here.gradient);
      }
      double first = kept == 0 ? Math.min(1, 1 / norm(here.gradient)) : 1;
      LinePoint next = search(here, direction, first);
      if (next == null) {
        if (kept == 0) {
          break;
        }
        kept = 0;
        continue;
      }
      remember(here, next);
      here = next;
    }
    return new Minimum(here.x, here.value, largest(here.gradient), evaluations);
  }

  private LinePoint at(double[] from, double[] direction, double step) {
    double[] x = from.clone();
    for (int i = 0; direction != null && i < x.length; i++) {
      x[i] += step * direction[i];
    }
    double[] gradient = new double[x.length];
    evaluations++;
    double value = objective.at(x, gradient);
    return new LinePoint(
        step, x, value, gradient, direction == null ? 0 : dot(gradient, direction));
  }

  /** The gradient's opposite, times what the last steps show of the inverse Hessian. */
  private double[] direction(double[] gradient) {
    double[] q = new double[gradient.length];
    add(q, -1, gradient);
    int newest = kept - 1;
    int oldest = Math.max(0, kept - MEMORY);
    double[] alpha = new double[MEMORY];
    for (int i = newest; i >= oldest; i--) {
      double[] s = steps[i % MEMORY];
      double[] y = changes[i % MEMORY];
      alpha[i % MEMORY] = dot(s, q) / dot(s, y);
      add(q, -alpha[i % MEMORY], y);
    }
    if (kept > 0) {
      double[] y = changes[newest % MEMORY];
      double scale = dot(steps[newest % MEMORY], y) / dot(y, y);
      for (int i = 0; i < q.length; i++) {
        q[i] *= scale;
      }
    }
    for (int i = oldest; i <= newest; i++) {
      double[] s = steps[i % MEMORY];
      double[] y = changes[i % MEMORY];
      add(q, alpha[i % MEMORY] - dot(y, q) / dot(s, y), s);
    }
    return q;
  }

  private void remember(LinePoint from, LinePoint to) {
    double[] s = to.x.clone();
    add(s, -1, from.x);
    double[] y = to.gradient.clone();
    add(y, -1, from.gradient);
    if (dot(s, y) > 0) {
      steps[kept % MEMORY] = s;
      changes[kept % MEMORY] = y;
      kept++;
    }
  }

  /** A point that satisfies the strong Wolfe conditions, or is at least lower; null: none is. */
  private LinePoint search(LinePoint start, double[] direction, double first) {
    double slope = dot(start.gradient, direction);
    LinePoint low = new LinePoint(0, start.x, start.value, start.gradient, slope);
    LinePoint high = null;
    double step = first;
    for (int trial = 0; trial < MOST_TRIALS; trial++) {
      LinePoint point = at(start.x, direction, step);
      boolean tooHigh =
          !(point.value <= start.value + SUFFICIENT_DECREASE * step * slope)
              || point.value >= low.value && low.step > 0;
      if (tooHigh) {
        high = point;
      } else if (Math.abs(point.slope) <= -CURVATURE * slope) {
        return point;
      } else {
        if (high == null ? point.slope > 0 : point.slope * (high.step - low.step) >= 0) {
          high = low;
        }
        low = point;
      }
      step = high == null ? 2 * step : between(low, high);
      if (step == low.step || high != null && step == high.step) {
        break;
      }
    }
    return low.step > 0 && low.value < start.value ? low : null;
  }

  /**
   * The minimum of the cubic through two points, kept off their ends; their middle if there is
   * none.
   */
  private static double between(LinePoint a, LinePoint b) {
    double width = b.step - a.step;
    double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step);
    double d2 = Math.signum(width) * Math.sqrt(d1 * d1 - a.slope * b.slope);
    double step = b.step - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
    double share = (step - a.step) / width;
    return share >= 0.1 && share <= 0.9 ? step : a.step + width / 2;
  }

  private static void add(double[] to, double times, double[] values) {
    for (int i = 0; i < to.length; i++) {
      to[i] += times * values[i];
    }
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private static double norm(double[] values) {
    return Math.sqrt(dot(values, values));
  }

  private static double largest(double[] values) {
    double largest = 0;
    for (double value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }
}
