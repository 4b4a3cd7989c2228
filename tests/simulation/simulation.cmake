# The whole service in a simulated world; included by tests/CMakeLists.txt.
bridge_test(simulation_test LABEL simulation TIMEOUT 300
  SOURCES simulation/Actors.cpp simulation/AwayTest.cpp simulation/Cluster.cpp simulation/Defects.cpp
    simulation/Events.cpp simulation/Invariants.cpp simulation/Network.cpp simulation/Plan.cpp simulation/PlantedBugTest.cpp simulation/Simulation.cpp
    simulation/SimulationTest.cpp fakes/DatabaseWatch.cpp
  DEPS gridbridge::core gridbridge::backend_simulated gridbridge::fakegitlab SQLite::SQLite3)
