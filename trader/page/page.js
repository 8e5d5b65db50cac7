"use strict";
(() => {
  const element = (id) => document.getElementById(id);
  const data = (id) => JSON.parse(element(id).textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const minus = (text) => text.replace("-", "\u2212");
  const dollars = (value) =>
    (value < 0 ? "\u2212$" : "$") +
    Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

  // The equity chart: a line under the pointer, and the figures of that session.
  const curves = () => {
    const { dates, lines, left, right, width } = data("curve-data");
    const svg = element("equity");
    const readout = element("curve-readout");
    if (!dates.length) return;
    const cross = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const [, , , height] = svg.getAttribute("viewBox").split(" ").map(Number);
    cross.setAttribute("class", "cross");
    cross.setAttribute("y1", "0");
    cross.setAttribute("y2", String(height - 30));
    const tell = (index) => {
      const share = dates.length > 1 ? index / (dates.length - 1) : 0.5;
      const x = String(left + share * (right - left));
      cross.setAttribute("x1", x);
      cross.setAttribute("x2", x);
      svg.append(cross);
      const told = lines.map((line) => `${line.title} ${dollars(line.values[index])}`);
      readout.textContent = `${dates[index]}: ${told.join(", ")}`;
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * width;
      const share = Math.min(Math.max((x - left) / (right - left), 0), 1);
      tell(Math.round(share * (dates.length - 1)));
    });
    svg.addEventListener("pointerleave", () => {
      cross.remove();
      readout.textContent = "";
    });
  };

  // Bars as the library wants them, out of differences and whole ticks.
  const barsOf = (packed) => {
    let time = 0;
    return packed.starts.map((step, i) => {
      time += step;
      const price = (column) => column[i] * packed.tick;
      return { time, open: price(packed.open), high: price(packed.high), low: price(packed.low), close: price(packed.close) };
    });
  };

  // The place of a moment between bars, as a fractional index of bars.
  const placeIn = (bars, width) => (second) => {
    let low = 0;
    let high = bars.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (bars[middle].time <= second) low = middle;
      else high = middle - 1;
    }
    const inside = Math.min(Math.max((second - bars[low].time) / width, 0), 1);
    return low - 0.5 + inside;
  };

  // A trade as the script reads it, from the row that the page carries.
  const tradeOf = (place) => ([number, opened, closed, direction, entry, exit, stop, target, usd, r, reason]) => ({
    number, opened, closed, direction, entry, exit, stop, target, usd, r, reason, from: place(opened), to: place(closed),
  });

  // Draws the trades over the bars: risk down to the stop, reward up to the target, and the way from entry to exit.
  class Trades {
    constructor(trades) {
      this.trades = trades;
      this.chosen = null;
    }
    attached({ chart, series, requestUpdate }) {
      this.chart = chart;
      this.series = series;
      this.update = requestUpdate;
    }
    paneViews() {
      return [{ zOrder: () => "top", renderer: () => ({ draw: (target) => this.draw(target) }) }];
    }
    draw(target) {
      target.useMediaCoordinateSpace(({ context, mediaSize }) => {
        const scale = this.chart.timeScale();
        const origin = scale.logicalToCoordinate(0);
        const spacing = scale.logicalToCoordinate(1) - origin;
        const colours = { gain: css("--gain"), loss: css("--loss"), ink: css("--ink") };
        for (const trade of this.trades) {
          const x1 = origin + trade.from * spacing;
          const x2 = origin + trade.to * spacing;
          if (x2 < 0 || x1 > mediaSize.width) continue;
          this.drawOne(context, trade, x1, Math.max(x2, x1 + 1), colours);
        }
      });
    }
    drawOne(context, trade, x1, x2, colours) {
      const y = (price) => this.series.priceToCoordinate(price);
      const [entry, exit, stop, target] = [y(trade.entry), y(trade.exit), y(trade.stop), y(trade.target)];
      const colour = trade.usd > 0 ? colours.gain : colours.loss;
      if (x2 - x1 >= 3) {
        context.globalAlpha = trade === this.chosen ? 0.3 : 0.16;
        context.fillStyle = colours.loss;
        context.fillRect(x1, Math.min(entry, stop), x2 - x1, Math.abs(stop - entry));
        context.fillStyle = colours.gain;
        context.fillRect(x1, Math.min(entry, target), x2 - x1, Math.abs(target - entry));
        context.globalAlpha = 1;
        context.strokeStyle = colour;
        context.lineWidth = trade === this.chosen ? 2.5 : 1.5;
        context.beginPath();
        context.moveTo(x1, entry);
        context.lineTo(x2, exit);
        context.stroke();
      }
      this.drawArrow(context, x1, entry, trade.direction, x2 - x1 >= 3 ? 6 : 3.5, colour);
      if (x2 - x1 >= 6) this.drawExit(context, x2, exit, colour);
    }
    drawArrow(context, x, y, direction, size, colour) {
      context.fillStyle = colour;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x - size, y + direction * size * 1.6);
      context.lineTo(x + size, y + direction * size * 1.6);
      context.closePath();
      context.fill();
    }
    drawExit(context, x, y, colour) {
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x, y, 3.5, 0, 2 * Math.PI);
      context.fill();
    }
  }

  const themed = () => ({
    layout: { background: { color: css("--sheet") }, textColor: css("--soft"), attributionLogo: false },
    grid: { vertLines: { color: css("--faint") }, horzLines: { color: css("--faint") } },
    rightPriceScale: { borderColor: css("--rule") },
    timeScale: { borderColor: css("--rule"), timeVisible: true, secondsVisible: false, minBarSpacing: 0.02 },
  });
  const candles = () => ({
    upColor: css("--sheet"), downColor: css("--soft"), borderUpColor: css("--soft"), borderDownColor: css("--soft"),
    wickUpColor: css("--soft"), wickDownColor: css("--soft"), priceLineVisible: false, lastValueVisible: false,
  });

  const clock = (second) => new Date(second * 1000).toISOString().slice(0, 16).replace("T", " ");
  const toldTrade = (trade) => {
    const r = trade.r === null ? "" : `, ${minus(trade.r.toFixed(2))} R`;
    const side = trade.direction > 0 ? "long" : "short";
    return (
      `Trade ${trade.number}: ${side} ${clock(trade.opened)} at ${trade.entry}, stop ${trade.stop}, target ${trade.target}; ` +
      `out ${clock(trade.closed).slice(11)} at ${trade.exit} by ${trade.reason.replaceAll("_", " ")}: ${dollars(trade.usd)}${r}`
    );
  };

  const prices = () => {
    const packed = data("price-data");
    const place = element("price-chart");
    const readout = element("price-readout");
    if (!packed.starts.length) {
      readout.textContent = "There are no bars to draw.";
      return;
    }
    const bars = barsOf(packed);
    const trades = packed.trades.map(tradeOf(placeIn(bars, packed.minutes * 60)));
    const chart = LightweightCharts.createChart(place, { ...themed(), autoSize: true });
    const series = chart.addSeries(LightweightCharts.CandlestickSeries, {
      ...candles(),
      priceFormat: { type: "price", minMove: packed.tick, precision: (String(packed.tick).split(".")[1] || "").length },
    });
    series.setData(bars);
    const overlay = new Trades(trades);
    series.attachPrimitive(overlay);
    const perDay = Math.max(Math.round((23 * 60) / packed.minutes), 1);
    const spans = { all: bars.length, month: 21 * perDay, week: 5 * perDay, day: perDay };
    const show = (middle, span) => chart.timeScale().setVisibleLogicalRange({ from: middle - span / 2, to: middle + span / 2 });
    const visible = () => chart.timeScale().getVisibleLogicalRange() || { from: 0, to: bars.length };
    const symbolAt = (index) => packed.symbol_from.reduce((name, [from, symbol]) => (from <= index ? symbol : name), "");

    const choose = (trade) => {
      overlay.chosen = trade;
      readout.textContent = toldTrade(trade);
      show((trade.from + trade.to) / 2, Math.max((trade.to - trade.from) * 4, perDay / 2));
      overlay.update();
    };
    for (const button of document.querySelectorAll("[data-range]")) {
      button.addEventListener("click", () => {
        const { from, to } = visible();
        const name = button.dataset.range;
        const middle = overlay.chosen ? (overlay.chosen.from + overlay.chosen.to) / 2 : (from + to) / 2;
        if (name === "all") chart.timeScale().fitContent();
        else show(middle, spans[name]);
      });
    }
    for (const button of document.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => {
        if (!trades.length) return;
        const step = Number(button.dataset.step);
        const at = overlay.chosen ? trades.indexOf(overlay.chosen) + step : step > 0 ? 0 : trades.length - 1;
        choose(trades[Math.min(Math.max(at, 0), trades.length - 1)]);
      });
    }
    const jump = (row) => {
      const trade = trades.find((one) => one.number === Number(row.dataset.trade));
      if (!trade) return;
      choose(trade);
      element("prices").scrollIntoView();
    };
    for (const row of document.querySelectorAll("[data-trade]")) {
      row.addEventListener("click", () => jump(row));
      row.addEventListener("keydown", (event) => event.key === "Enter" && jump(row));
    }
    chart.subscribeCrosshairMove(({ logical, point }) => {
      if (logical === undefined || !point) {
        readout.textContent = overlay.chosen ? toldTrade(overlay.chosen) : "";
        return;
      }
      const bar = bars[Math.round(logical)];
      if (!bar) return;
      const exact = chart.timeScale().coordinateToLogical(point.x);
      const open = trades.filter((trade) => trade.from - 0.5 <= exact && exact <= trade.to + 0.5).slice(0, 1);
      const figures = `open ${bar.open}, high ${bar.high}, low ${bar.low}, close ${bar.close}`;
      readout.textContent = [`${clock(bar.time)} ET ${symbolAt(Math.round(logical))}: ${figures}`, ...open.map(toldTrade)].join(". ");
    });
    const first = trades[0] || { from: 0, to: 0 };
    show(first.from + 1.5 * perDay, Math.min(4 * perDay, bars.length));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      chart.applyOptions(themed());
      series.applyOptions(candles());
    });
    place.dataset.drawn = String(series.data().length);
  };

  curves();
  prices();
})();
