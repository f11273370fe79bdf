package org.prunepeft.run;

import java.util.List;
import org.prunepeft.search.Candidate;

/**
 * What a run trains at most.
 *
 * @param modules those of its largest training
 * @param full whether the model's own weights are trained
 * @param judged whether it gathers sums over the steps for criteria
 */
public record Demand(List<Candidate> modules, boolean full, boolean judged) {}
