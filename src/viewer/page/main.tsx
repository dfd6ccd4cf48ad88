import { render } from 'preact';
import { App } from './app.js';
import { followLinks } from './address.js';
import { releaseSelects } from './keyboard.js';
import './styles/base.css';
import './styles/trajectories.css';
import './styles/actions.css';
import './styles/charts.css';
// changes what the others say, so it comes last
import './styles/narrow.css';

followLinks();
releaseSelects();
render(<App />, document.getElementById('page')!);
