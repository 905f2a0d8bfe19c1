// Draws each figure's specification with the Vega bundle beside this file; nothing is fetched.
(function () {
  "use strict";
  const AXES = 64; // pixels that a panel's axis and title take beside its plot, where its labels are numbers
  const SMALLEST_PANEL = 300, SMALLEST_PLOT = 150;

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--pst-color-text-base").trim() || "#777e88";
    return { labelColor: text, titleColor: text };
  }

  // Panels side by side where the page is wide, one below the other on a telephone. `over`: pixels by which the whole
  // was too wide at first, since labels are as long as the names that they show; `crowded`: the legends' columns halved.
  function fitted(spec, width, over, crowded) {
    const made = structuredClone(spec);
    const config = (made.config = made.config || {});
    const ink = colours();
    for (const part of ["axis", "legend", "header"]) config[part] = Object.assign({}, config[part], ink);
    config.title = Object.assign({}, config.title, { color: ink.titleColor });
    // One legend below the other: side by side they would run out of a narrow page.
    config.legend.layout = { bottom: { anchor: "start", direction: "vertical", bounds: "full" } };
    config.legend.columns = Math.max(1, Math.min(6, Math.floor(width / 120)) >> crowded);
    if (made.concat) {
      let columns = Math.max(1, Math.min(made.columns || 2, Math.floor(width / SMALLEST_PANEL)));
      let inner = plot(width, columns, over);
      if (inner < SMALLEST_PLOT && columns > 1) {
        inner = plot(width, 1, over / columns);
        columns = 1;
      }
      made.columns = columns;
      made.concat.forEach((panel) => { panel.width = Math.min(inner, 560); });
    } else if (typeof made.width === "number") {
      made.width = Math.min(plot(width, 1, over), Math.max(made.width, 560));
    }
    return made;
  }

  function plot(width, columns, over) {
    return Math.max(60, Math.floor(width / columns) - AXES - 12 - Math.ceil(over / columns));
  }

  function tooWide(place) {
    return place.scrollWidth - place.clientWidth;
  }

  async function draw(figure) {
    const place = figure.querySelector(".cs-chart");
    const spec = JSON.parse(figure.querySelector(".cs-spec").textContent);
    const width = Math.floor(place.getBoundingClientRect().width);
    if (!width) return;
    try {
      const options = { actions: false, renderer: "svg", tooltip: { theme: isDark() ? "dark" : "light" } };
      await window.vegaEmbed(place, fitted(spec, width, 0, 0), options);
      // A legend too wide is told from a plot too wide by trying it with fewer columns first.
      for (let crowded = 1; crowded <= 3 && tooWide(place) > 1; crowded++) {
        await window.vegaEmbed(place, fitted(spec, width, 0, crowded), options);
      }
      // A narrower plot may get other tick labels, and those stick out otherwise: a few attempts.
      for (let over = 0, attempt = 0; attempt < 3 && tooWide(place) > 1; attempt++) {
        over += tooWide(place) + 2;
        await window.vegaEmbed(place, fitted(spec, width, over, 3), options);
      }
      figure.dataset.drawn = "yes";
    } catch (problem) {
      place.textContent = "This chart could not be drawn: " + problem.message;
      figure.dataset.drawn = "no";
    }
  }

  function isDark() {
    const theme = document.documentElement.dataset.theme;
    return theme === "dark";
  }

  function drawAll() {
    document.querySelectorAll(".cs-figure").forEach(draw);
  }

  let timer = null;
  function later() {
    clearTimeout(timer);
    timer = setTimeout(drawAll, 200);
  }

  document.addEventListener("DOMContentLoaded", function () {
    drawAll();
    let width = window.innerWidth;
    window.addEventListener("resize", function () {
      if (window.innerWidth !== width) { width = window.innerWidth; later(); }
    });
    // The theme is set again while a page loads; only a change is worth a new drawing, which loses the reader's choices.
    let dark = isDark();
    new MutationObserver(function () {
      if (isDark() !== dark) { dark = isDark(); later(); }
    }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  });
})();
