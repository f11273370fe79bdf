package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.List;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.RealMatrix;
import org.hipparchus.linear.SingularValueDecomposition;

/** Normal equations whose solution may have no negative part: such are set to zero, one by one. */
final class NonNegative {
  private NonNegative() {}

  static double[] solve(double[][] products, double[] target) {
    double[] scale = new double[target.length];
    List<Integer> free = new ArrayList<>();
    for (int i = 0; i < target.length; i++) {
      scale[i] = Math.sqrt(Math.max(products[i][i], 0));
      if (scale[i] > 0) {
        free.add(i);
      }
    }
    double[] solution = new double[target.length];
    while (!free.isEmpty()) {
      double[][] part = new double[free.size()][free.size()];
      double[] right = new double[free.size()];
      for (int i = 0; i < right.length; i++) {
        int a = free.get(i);
        right[i] = target[a] / scale[a];
        for (int j = 0; j < right.length; j++) {
          int b = free.get(j);
          part[i][j] = products[a][b] / scale[a] / scale[b];
        }
      }
      RealMatrix matrix = MatrixUtils.createRealMatrix(part);
      double[] solved =
          new SingularValueDecomposition(matrix)
              .getSolver()
              .solve(MatrixUtils.createRealVector(right))
              .toArray();
      int worst = 0;
      for (int i = 1; i < solved.length; i++) {
        worst = solved[i] < solved[worst] ? i : worst;
      }
      if (solved[worst] < 0) {
        free.remove(worst);
        continue;
      }
      for (int i = 0; i < solved.length; i++) {
        solution[free.get(i)] = solved[i] / scale[free.get(i)];
      }
      return solution;
    }
    return solution;
  }
}
