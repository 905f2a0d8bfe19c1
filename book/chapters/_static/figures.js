// Draws each figure's specification with the Vega bundle beside this file; nothing is fetched.
(function () {
  "use strict";
  const AXES = 64; // pixels that a panel's axis and title take beside its plot, where its labels are numbers
  const SMALLEST_PANEL = 300, SMALLEST_PLOT = 150;

  // Text takes the page's colour, in either theme and when the reader changes it: no drawing anew, which would lose
  // the reader's choices.
  const INK = { labelColor: "currentColor", titleColor: "currentColor" };

  // Panels side by side where the page is wide, one below the other on a telephone. `over`: pixels by which the whole
  // was too wide at first, since labels are as long as the names that they show; `crowded`: the legends' columns halved.
  function fitted(spec, width, over, crowded) {
    const made = structuredClone(spec);
    const config = (made.config = made.config || {});
    for (const part of ["axis", "legend", "header"]) config[part] = Object.assign({}, config[part], INK);
    config.title = Object.assign({}, config.title, { color: "currentColor" });
    // One legend below the other: side by side they would run out of a narrow page.
    config.legend.layout = { top: { anchor: "start", direction: "vertical", bounds: "full" } };
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

  async function draw(figure) {
    const place = figure.querySelector(".cs-chart");
    const spec = JSON.parse(figure.querySelector(".cs-spec").textContent);
    const width = Math.floor(place.getBoundingClientRect().width);
    if (!width) return;
    try {
      const options = { actions: false, renderer: "svg", tooltip: { theme: "custom" } };
      const excess = async function (over, crowded) {
        await window.vegaEmbed(place, fitted(spec, width, over, crowded), options);
        return place.scrollWidth - place.clientWidth;
      };
      let over = 0, crowded = 0, left = await excess(over, crowded);
      // Too wide is either the legend, which fewer columns help, or the plot; a narrower plot may get other labels.
      for (let attempt = 0; attempt < 6 && left > 1; attempt++) {
        const fewer = crowded < 3 ? await excess(over, crowded + 1) : left;
        if (fewer < left) {
          crowded++;
          left = fewer;
        } else {
          over += left + 2;
          left = await excess(over, crowded);
        }
      }
      figure.dataset.drawn = "yes";
    } catch (problem) {
      place.textContent = "This chart could not be drawn: " + problem.message;
      figure.dataset.drawn = "no";
    }
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
  });
})();
