package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Strategy;

class SearchSettingsTest {
  private static String refused(SearchSettingsBuilder settings) {
    return assertThrows(IllegalArgumentException.class, settings::build).getMessage();
  }

  @Test
  void aStrategyBesideAnotherWayToChooseIsRefused() {
    Map<SearchSettingsBuilder, String> both = new LinkedHashMap<>();
    both.put(SearchSettings.builder().measured(MeasuringSettings.DEFAULT), "measures them");
    both.put(SearchSettings.builder().peer(PeerSettings.DEFAULT), "goes another way (peer)");
    both.forEach(
        (settings, way) -> {
          String message = refused(settings.strategy(Strategy.authors()));
          assertTrue(message.contains(way + "; leave out the strategy, or that"), message);
          settings.strategy(null).build();
        });
  }

  @Test
  void whatIsMissingIsNamed() {
    Map<String, SearchSettingsBuilder> missing = new LinkedHashMap<>();
    missing.put("warmUp", SearchSettings.builder().warmUp(null));
    missing.put("warmUpCriteria", SearchSettings.builder().warmUpCriteria(null));
    missing.put("selection", SearchSettings.builder().selection(null));
    missing.put("weights", SearchSettings.builder().weights(null));
    missing.put("criteria", SearchSettings.builder().criteria(null));
    missing.forEach(
        (name, settings) -> assertEquals(name + " must not be null or missing", refused(settings)));
  }
}
