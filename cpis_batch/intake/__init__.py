"""From a sealed file to accepted rows and an answer: names, collecting, reading, rules, checking, acknowledging."""
