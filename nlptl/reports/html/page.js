"use strict";
// The sliders on decision thresholds: every number comes from counts that the page holds; nothing is fetched.
(() => {
  // On paper everything is open.
  addEventListener("beforeprint", () => {
    for (const closed of document.querySelectorAll("details")) closed.open = true;
  });

  const NORMAL = 1.959963984540054;
  const number = (value) => (Number.isFinite(value) ? value.toFixed(3) : "-");

  // Wilson's interval of a share, as the report's own.
  const interval = (hits, rows) => {
    if (rows <= 0) return "";
    const share = hits / rows, squared = NORMAL * NORMAL;
    const centre = (share + squared / (2 * rows)) / (1 + squared / rows);
    const half = (NORMAL / (1 + squared / rows)) *
      Math.sqrt((share * (1 - share)) / rows + squared / (4 * rows * rows));
    return `${number(Math.max(centre - half, 0))} to ${number(Math.min(centre + half, 1))}`;
  };

  const told = (cuts, place) => {
    const [threshold, hits, alarms] = cuts.cuts[place];
    const { positives, negatives } = cuts, flagged = hits + alarms, rows = positives + negatives;
    const precision = flagged ? hits / flagged : NaN, recall = positives ? hits / positives : NaN;
    const f1 = flagged + positives ? (2 * hits) / (flagged + positives) : NaN;
    return {
      threshold: threshold > 1 ? "above every score" : number(threshold),
      precision: number(precision), "precision-range": interval(hits, flagged),
      recall: number(recall), "recall-range": interval(hits, positives),
      f1: number(f1), alerts: rows ? ((1000 * flagged) / rows).toFixed(1) : "-",
      "alerts-range": rows ? `${flagged.toLocaleString("en")} of ${rows.toLocaleString("en")} rows` : "",
      hits: hits.toLocaleString("en"), alarms: alarms.toLocaleString("en"),
      missed: (positives - hits).toLocaleString("en"), passed: (negatives - alarms).toLocaleString("en"),
    };
  };

  for (const policy of document.querySelectorAll(".policy")) {
    const all = JSON.parse(document.getElementById(policy.dataset.cuts).textContent);
    const slider = policy.querySelector("input"), choice = policy.querySelector("select");
    const back = policy.querySelector("button");
    const chosen = () => all[choice ? choice.selectedIndex : 0];
    const show = () => {
      const said = told(chosen(), Number(slider.value));
      for (const place of policy.querySelectorAll("[data-said]")) place.textContent = said[place.dataset.said];
      slider.setAttribute("aria-valuetext",
        `threshold ${said.threshold}: precision ${said.precision}, recall ${said.recall}, ` +
        `${said.alerts} alerts per thousand`);
    };
    const reset = () => {
      slider.max = String(chosen().cuts.length - 1);
      slider.value = String(chosen().fitted);
      show();
    };
    slider.addEventListener("input", show);
    if (choice) choice.addEventListener("change", reset);
    back.addEventListener("click", reset);
    slider.disabled = false;
    back.hidden = false;
    if (choice) choice.disabled = false;
    reset();
  }
})();
